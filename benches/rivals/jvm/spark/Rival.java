package spark;

import common.Workload;
import common.Workload.Args;
import common.Workload.Events;
import common.Workload.Found;
import common.Workload.Readings;
import common.Workload.Stamps;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.ForeachWriter;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.streaming.StreamingQuery;

/** Spark Structured Streaming, by its SQL, in one process. */
public final class Rival {
    static Args args;
    static Readings readings;
    static Events events;
    static volatile Found found;
    /** When the first record of an open loop is due, by System.nanoTime. */
    static volatile long start;

    private Rival() {}

    public static void main(String[] words) throws Exception {
        args = new Args(words);
        Path state = Files.createTempDirectory(
            Files.isDirectory(Path.of("/dev/shm")) ? Path.of("/dev/shm") : Path.of("."), "rival");
        try (SparkSession session = session(state)) {
            if (args.isQuery()) {
                events = new Events(Path.of(args.events), args.records);
            } else if (args.rate == 0) {
                readings = new Readings(args.records);
            }
            Workload.contest("spark", args, () -> pass(session, state));
        } catch (Exception error) {
            error.printStackTrace();
            String why = String.valueOf(error.getMessage()).lines().findFirst().orElse("");
            Workload.leftOut("spark", args.workload, why);
        } finally {
            delete(state);
        }
        System.exit(0);
    }

    private static SparkSession session(Path state) {
        return SparkSession.builder()
            .master("local[" + args.cores + "]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.local.dir", state.toString())
            .config("spark.sql.warehouse.dir", state.resolve("warehouse").toString())
            .config("spark.sql.ansi.enabled", "false")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.shuffle.partitions", args.cores)
            .config("spark.sql.streaming.minBatchesToRetain", 2)
            .config("spark.sql.streaming.pollingDelay", "0ms")
            .getOrCreate();
    }

    private static Found pass(SparkSession session, Path state) throws Exception {
        found = new Found();
        boolean isPaced = args.workload.equals("latency");
        if (isPaced) {
            found.stamps = new Stamps();
            start = System.nanoTime() + 3_000_000_000L;
        }
        Dataset<Row> rows = Queries.rows(session, args.workload);
        Path checkpoint = Files.createTempDirectory(state, "checkpoint");
        StreamingQuery query = rows.writeStream()
            .outputMode("append")
            .option("checkpointLocation", checkpoint.toString())
            .foreach(new Sink(isPaced))
            .start();
        if (isPaced) {
            Thread.sleep(Math.max(0, start - System.nanoTime()) / 1_000_000
                + (long) (1000 * args.seconds));
        }
        query.processAllAvailable();
        query.stop();
        delete(checkpoint);
        return found;
    }

    private static void delete(Path folder) throws Exception {
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(path);
            }
        }
    }

    /** Hashes rows of up to five numbers; the second is the end of a window where there is one. */
    private static final class Sink extends ForeachWriter<Row> {
        private final boolean isPaced;
        private transient long rows, hash;

        Sink(boolean isPaced) {
            this.isPaced = isPaced;
        }

        @Override
        public boolean open(long partition, long epoch) {
            rows = 0;
            hash = 0;
            return true;
        }

        @Override
        public void process(Row row) {
            long[] words = new long[5];
            for (int place = 0; place < row.size(); place++) {
                words[place] = row.getLong(place);
            }
            if (words[0] < 0) {
                // The last record of all. A filter in the query would go in front of the watermark.
                return;
            }
            if (!args.isQuery()) {
                words[1] -= Memory.FIRST * 1000;
            }
            if (isPaced) {
                long period = 1_000_000_000L / args.rate;
                long last = (long) (args.rate * args.seconds) * period;
                if (words[1] > last / 5 && words[1] < last) {
                    found.stamps.add(System.nanoTime() - (start + words[1] - period));
                }
            }
            rows++;
            hash += Workload.hash(words[0], words[1], words[2], words[3], words[4]);
        }

        @Override
        public void close(Throwable error) {
            if (rows > 0) {
                found.add(rows, hash);
                found.end();
            }
        }
    }
}
