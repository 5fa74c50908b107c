package flink;

import common.Workload;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.Table;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/** Sliding windows by SQL, whose windows share slices. A second of SQL is a millisecond here. */
final class Sql {
    private Sql() {}

    static void sliding(StreamExecutionEnvironment env) {
        StreamTableEnvironment tables = StreamTableEnvironment.create(env);
        tables.getConfig().setLocalTimeZone(ZoneOffset.UTC);
        DataStream<Reading> readings = Windows.source(env, 0, 1);
        Schema schema = Schema.newBuilder()
            .column("key", "INT NOT NULL")
            .column("value", "INT NOT NULL")
            .columnByMetadata("taken", DataTypes.TIMESTAMP_LTZ(3), "rowtime")
            .watermark("taken", "SOURCE_WATERMARK()")
            .build();
        tables.createTemporaryView("readings", readings, schema);
        long slide = Workload.SECOND / 1000, size = 10 * slide;
        Table found = tables.sqlQuery(
            "SELECT `key`, window_end, COUNT(*), "
                + "SUM(CAST(`value` AS BIGINT)) FROM TABLE(HOP(TABLE readings, DESCRIPTOR(taken), "
                + "INTERVAL '" + slide + "' SECOND(5), INTERVAL '" + size + "' SECOND(5))) "
                + "GROUP BY `key`, window_start, window_end");
        tables.toDataStream(found)
            .map(row -> Row.of((Integer) row.getField(0), nanos((LocalDateTime) row.getField(1)),
                (Long) row.getField(2), (Long) row.getField(3), 0))
            .returns(Row.class)
            .addSink(new Rows(false));
    }

    private static long nanos(LocalDateTime end) {
        return end.toInstant(ZoneOffset.UTC).toEpochMilli() * 1000;
    }
}
