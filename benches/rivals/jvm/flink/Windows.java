package flink;

import common.Workload;
import java.time.Duration;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.co.ProcessJoinFunction;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.SlidingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.WindowAssigner;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** Windows and the interval join. A millisecond of Flink's is a microsecond here. */
final class Windows {
    private Windows() {}

    static Duration span(long micros) {
        return Duration.ofMillis(micros);
    }

    static void tumbling(StreamExecutionEnvironment env) {
        windows(source(env, 0, 1), TumblingEventTimeWindows.of(span(Workload.SECOND)), false);
    }

    static void sliding(StreamExecutionEnvironment env) {
        Duration size = span(10 * Workload.SECOND), slide = span(Workload.SECOND);
        windows(source(env, 0, 1), SlidingEventTimeWindows.of(size, slide), false);
    }

    static void paced(StreamExecutionEnvironment env) {
        DataStream<Reading> readings =
            env.addSource(new Sources.Paced()).returns(Types.POJO(Reading.class));
        windows(readings, TumblingEventTimeWindows.of(span(Workload.WINDOW)), true);
    }

    static DataStream<Reading> source(StreamExecutionEnvironment env, int first, int step) {
        return env.addSource(new Sources.InMemory(first, step)).returns(Types.POJO(Reading.class));
    }

    private static void windows(
            DataStream<Reading> readings, WindowAssigner<Object, TimeWindow> assigner,
            boolean isPaced) {
        KeyedStream<Reading, Integer> keyed =
            Rival.keyed(readings, reading -> reading.key, Types.INT);
        keyed.window(assigner)
            .aggregate(new Totals(), new Named(), Types.POJO(Total.class), Types.POJO(Total.class),
                Types.POJO(Row.class))
            .addSink(new Rows(isPaced));
    }

    /** A count and a sum. */
    public static class Total {
        public long count, sum;

        public Total() {}
    }

    private static final class Totals implements AggregateFunction<Reading, Total, Total> {
        @Override
        public Total createAccumulator() {
            return new Total();
        }

        @Override
        public Total add(Reading reading, Total total) {
            total.count++;
            total.sum += reading.value;
            return total;
        }

        @Override
        public Total getResult(Total total) {
            return total;
        }

        @Override
        public Total merge(Total one, Total other) {
            one.count += other.count;
            one.sum += other.sum;
            return one;
        }
    }

    /** Says of a total whose it is, and of which window. */
    private static final class Named
            extends ProcessWindowFunction<Total, Row, Integer, TimeWindow> {
        @Override
        public void process(
                Integer key, Context context, Iterable<Total> totals, Collector<Row> out) {
            Total total = totals.iterator().next();
            out.collect(
                Row.of(key, context.window().getEnd() * 1000, total.count, total.sum, 0));
        }
    }

    static void join(StreamExecutionEnvironment env) {
        KeyedStream<Reading, Integer> left =
            Rival.keyed(source(env, 0, 2), reading -> reading.key, Types.INT);
        KeyedStream<Reading, Integer> right =
            Rival.keyed(source(env, 1, 2), reading -> reading.key, Types.INT);
        Duration reach = span(Workload.REACH);
        left.intervalJoin(right)
            .between(reach.negated(), reach)
            .process(new Pairs(), Types.POJO(Row.class))
            .addSink(new Rows(false));
    }

    private static final class Pairs extends ProcessJoinFunction<Reading, Reading, Row> {
        @Override
        public void processElement(
                Reading left, Reading right, Context context, Collector<Row> out) {
            long at = Math.max(left.at, right.at) * 1000;
            out.collect(Row.of(left.key, at, left.value, right.value, 0));
        }
    }
}
