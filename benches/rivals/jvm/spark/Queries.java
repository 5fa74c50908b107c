package spark;

import common.Workload;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** All workloads, in SQL. Rows are numbers only, times in nanoseconds. */
final class Queries {
    private Queries() {}

    static Dataset<Row> rows(SparkSession session, String workload) {
        for (String what : new String[] {"all", "left", "right", "paced"}) {
            view(session, what, "taken");
        }
        view(session, "events", "at");
        return session.sql(switch (workload) {
            case "tumbling" -> totals("all", "1 second");
            case "sliding" -> totals("all", "10 seconds', '1 second");
            case "latency" -> totals("paced", "10 milliseconds");
            case "join" -> "SELECT CAST(l.key AS BIGINT), "
                + nanos("greatest(l.taken, r.taken)") + ", CAST(l.value AS BIGINT), "
                + "CAST(r.value AS BIGINT) FROM left l JOIN right r ON l.key = r.key "
                + "AND r.taken BETWEEN l.taken - INTERVAL 100 MILLISECONDS "
                + "AND l.taken + INTERVAL 100 MILLISECONDS";
            case "q1" -> "SELECT id, who, what * 908, " + nanos("at")
                + ", more FROM events WHERE kind = 2";
            case "q2" -> "SELECT id, what FROM events WHERE kind = 2 AND id % 123 = 0";
            case "q3" -> "SELECT a.id, p.name, p.city, p.state FROM events a JOIN events p "
                + "ON a.who = p.id WHERE a.kind = 1 AND a.what = 10 AND p.kind = 0 AND p.state IN ("
                + Workload.text("OR") + ", " + Workload.text("ID") + ", " + Workload.text("CA") + ")";
            case "q5" -> hot();
            case "q7" -> highest();
            case "q8" -> "SELECT id, name, " + nanos("w.start") + " FROM (SELECT w, id, "
                + "max(name) AS name, max(sold) AS sold, max(1 - sold) AS came FROM (SELECT "
                + "window(at, '10 seconds') AS w, if(kind = 0, id, who) AS id, name, kind AS sold "
                + "FROM events WHERE kind < 2 OR kind = 9) GROUP BY w, id) "
                + "WHERE sold = 1 AND came = 1";
            default -> throw new IllegalArgumentException(
                workload + ": a running average of what a timer yields is no streaming query here");
        });
    }

    private static void view(SparkSession session, String what, String time) {
        session.readStream().format(Memory.class.getName()).option("what", what).load()
            .withWatermark(time, "0 seconds").createOrReplaceTempView(what);
    }

    private static String nanos(String time) {
        return "unix_micros(" + time + ") * 1000";
    }

    private static String totals(String from, String window) {
        return "SELECT CAST(key AS BIGINT), " + nanos("window.end") + ", count(*), "
            + "CAST(sum(value) AS BIGINT) FROM " + from + " GROUP BY window(taken, '" + window
            + "'), key";
    }

    /** Counts by window, and of the counts of a window the largest, ties included. */
    private static String hot() {
        String counts = "SELECT window(at, '10 seconds', '2 seconds') AS w, id, count(*) AS bids "
            + "FROM events WHERE kind IN (2, 9) GROUP BY w, id";
        String lists = "SELECT window(w, '2 seconds') AS v, max(bids) AS most, "
            + "collect_list(struct(w.end AS end, id, bids)) AS items FROM (" + counts + ") GROUP BY v";
        return "SELECT " + nanos("item.end") + ", item.id, item.bids FROM (SELECT "
            + "explode(filter(items, item -> item.bids = most)) AS item FROM (" + lists + "))";
    }

    /** The highest bid of each window. Of two that are as high one is lost. */
    private static String highest() {
        return "SELECT b.id, b.what, b.who, " + nanos("b.at") + ", b.more FROM (SELECT "
            + "max(struct(what, id, who, at, more)) AS b FROM events WHERE kind IN (2, 9) "
            + "GROUP BY window(at, '10 seconds'))";
    }
}
