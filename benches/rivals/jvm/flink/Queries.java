package flink;

import common.Workload;
import common.Workload.Events;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeHint;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.SlidingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** Queries of NEXMark. */
final class Queries {
    private static final TypeInformation<Row> ROW = Types.POJO(Row.class);
    private static final long TEN = 10 * Workload.SECOND;

    private Queries() {}

    static void query(StreamExecutionEnvironment env, String name) {
        DataStream<Row> rows = switch (name) {
            case "q1" -> taken(env, Queries::bid)
                .map(bid -> Row.of(bid.a, bid.b, bid.c * 908, bid.d, bid.e)).returns(ROW);
            case "q2" -> taken(env, Queries::bid).filter(bid -> bid.a % 123 == 0)
                .map(bid -> Row.of(bid.a, bid.c, 0, 0, 0)).returns(ROW);
            case "q3" -> Rival.keyed(taken(env, Queries::local), row -> row.a, Types.LONG)
                .process(new Local(), ROW);
            case "q4" -> Rival.keyed(
                    Rival.keyed(taken(env, Queries::step), row -> row.a, Types.LONG)
                        .process(new Winners(), ROW), row -> row.a, Types.LONG)
                .process(new Averages(), ROW);
            case "q5" -> hot(env);
            case "q7" -> Rival.keyed(taken(env, Queries::bid), row -> 0, Types.INT)
                .window(TumblingEventTimeWindows.of(Windows.span(TEN)))
                .aggregate(new Leading(false), LEADERS, LEADERS)
                .<Row>flatMap((leaders, out) -> leaders.forEach(bid ->
                    out.collect(Row.of(bid.a, bid.c, bid.b, bid.d, bid.e)))).returns(ROW);
            default -> Rival.keyed(taken(env, Queries::seen), row -> row.a, Types.LONG)
                .window(TumblingEventTimeWindows.of(Windows.span(TEN)))
                .aggregate(new Seen(), new NewSeller(), ROW, ROW, ROW)
                .filter(row -> row.e == 1)
                .map(row -> Row.of(row.a, row.b, row.c, 0, 0)).returns(ROW);
        };
        rows.addSink(new Rows(false));
    }

    private static DataStream<Row> taken(
            StreamExecutionEnvironment env, Sources.Take<Row> take) {
        return env.addSource(new Sources.OfEvents<>(take)).setParallelism(1).returns(ROW);
    }

    /** Auction, bidder, price, time, phrase. */
    private static Row bid(int at) {
        Events all = Rival.events;
        return all.kind[at] != Events.BID ? null
            : Row.of(all.id[at], all.who[at], all.what[at], all.at[at] * 1000, all.more[at]);
    }

    private static final Set<String> STATES = Set.of("OR", "ID", "CA");

    /** Of a person: id, three texts, 1. Of an auction: seller, id. */
    private static Row local(int at) {
        Events all = Rival.events;
        return switch (all.kind[at]) {
            case Events.PERSON -> !STATES.contains(all.state[at]) ? null
                : Row.of(all.id[at], Workload.text(all.name[at]), Workload.text(all.city[at]),
                    Workload.text(all.state[at]), 1);
            case Events.AUCTION -> all.what[at] != 10 ? null
                : Row.of(all.who[at], all.id[at], 0, 0, 0);
            default -> null;
        };
    }

    /** Auction; category and last moment, or price. */
    private static Row step(int at) {
        Events all = Rival.events;
        return switch (all.kind[at]) {
            case Events.AUCTION -> Row.of(all.id[at], all.what[at], all.more[at], 0, 1);
            case Events.BID -> Row.of(all.id[at], all.what[at], 0, 0, 0);
            default -> null;
        };
    }

    /** Of a person: id, text. Of an auction: seller. The last word says which. */
    private static Row seen(int at) {
        Events all = Rival.events;
        return switch (all.kind[at]) {
            case Events.PERSON -> Row.of(all.id[at], Workload.text(all.name[at]), 0, 0, 1);
            case Events.AUCTION -> Row.of(all.who[at], 0, 0, 0, 0);
            default -> null;
        };
    }

    private static final class Local extends KeyedProcessFunction<Long, Row, Row> {
        private transient ValueState<Row> person;
        private transient ListState<Long> auctions;

        @Override
        public void open(OpenContext context) {
            person = getRuntimeContext().getState(new ValueStateDescriptor<>("person", ROW));
            auctions =
                getRuntimeContext().getListState(new ListStateDescriptor<>("auctions", Types.LONG));
        }

        @Override
        public void processElement(Row row, Context context, Collector<Row> out) throws Exception {
            if (row.e == 1) {
                person.update(row);
                for (Long auction : auctions.get()) {
                    out.collect(Row.of(auction, row.b, row.c, row.d, 0));
                }
                return;
            }
            Row seller = person.value();
            if (seller != null) {
                out.collect(Row.of(row.b, seller.b, seller.c, seller.d, 0));
            }
            auctions.add(row.b);
        }
    }

    /** Category and price of each auction that is over and had a bid. */
    private static final class Winners extends KeyedProcessFunction<Long, Row, Row> {
        private transient ValueState<Row> open;

        @Override
        public void open(OpenContext context) {
            open = getRuntimeContext().getState(new ValueStateDescriptor<>("open", ROW));
        }

        @Override
        public void processElement(Row row, Context context, Collector<Row> out) throws Exception {
            if (row.e == 1) {
                context.timerService().registerEventTimeTimer(row.c);
                open.update(row);
                return;
            }
            Row auction = open.value();
            // Watermarks come with each chunk, so the timer may be late.
            if (auction != null && context.timestamp() <= auction.c && auction.d < row.b) {
                auction.d = row.b;
                open.update(auction);
            }
        }

        @Override
        public void onTimer(long at, OnTimerContext context, Collector<Row> out) throws Exception {
            Row auction = open.value();
            open.clear();
            if (auction != null && auction.d > 0) {
                out.collect(Row.of(auction.b, auction.d, 0, 0, 0));
            }
        }
    }

    private static final class Averages extends KeyedProcessFunction<Long, Row, Row> {
        private transient ValueState<Row> total;

        @Override
        public void open(OpenContext context) {
            total = getRuntimeContext().getState(new ValueStateDescriptor<>("total", ROW));
        }

        @Override
        public void processElement(Row row, Context context, Collector<Row> out) throws Exception {
            Row before = total.value();
            Row now = before == null ? new Row() : before;
            if (now.b > 0) {
                out.collect(Row.takenBack(row.a, now.a / now.b));
            }
            now.a += row.b;
            now.b++;
            total.update(now);
            out.collect(Row.of(row.a, now.a / now.b, 0, 0, 0));
        }
    }

    private static DataStream<Row> hot(StreamExecutionEnvironment env) {
        long slide = 2 * Workload.SECOND;
        DataStream<Row> counts = Rival.keyed(taken(env, Queries::bid), row -> row.a, Types.LONG)
            .window(SlidingEventTimeWindows.of(Windows.span(5 * slide), Windows.span(slide)))
            .aggregate(new Count(), new Counted(), Types.POJO(Windows.Total.class),
                Types.POJO(Windows.Total.class), ROW);
        return Rival.keyed(counts, row -> 0, Types.INT)
            .window(TumblingEventTimeWindows.of(Windows.span(slide)))
            .aggregate(new Leading(true), LEADERS, LEADERS)
            .<Row>flatMap((leaders, out) -> leaders.forEach(out::collect)).returns(ROW);
    }

    private static final class Count implements AggregateFunction<Row, Windows.Total, Windows.Total> {
        @Override
        public Windows.Total createAccumulator() {
            return new Windows.Total();
        }

        @Override
        public Windows.Total add(Row row, Windows.Total total) {
            total.count++;
            return total;
        }

        @Override
        public Windows.Total getResult(Windows.Total total) {
            return total;
        }

        @Override
        public Windows.Total merge(Windows.Total one, Windows.Total other) {
            one.count += other.count;
            return one;
        }
    }

    private static final class Counted
            extends ProcessWindowFunction<Windows.Total, Row, Long, TimeWindow> {
        @Override
        public void process(Long auction, Context context, Iterable<Windows.Total> totals,
                Collector<Row> out) {
            long end = context.window().getEnd() * 1000;
            out.collect(Row.of(end, auction, totals.iterator().next().count, 0, 0));
        }
    }

    private static final TypeInformation<List<Row>> LEADERS =
        TypeInformation.of(new TypeHint<List<Row>>() {});

    /** Rows of which the third word is largest. */
    private static final class Leading
            implements AggregateFunction<Row, List<Row>, List<Row>> {
        private final boolean copies;

        Leading(boolean copies) {
            this.copies = copies;
        }

        @Override
        public List<Row> createAccumulator() {
            return new ArrayList<>();
        }

        @Override
        public List<Row> add(Row row, List<Row> leaders) {
            long most = leaders.isEmpty() ? 0 : leaders.get(0).c;
            if (row.c > most) {
                leaders.clear();
            }
            if (row.c >= most) {
                leaders.add(row);
            }
            return leaders;
        }

        @Override
        public List<Row> getResult(List<Row> leaders) {
            return leaders;
        }

        @Override
        public List<Row> merge(List<Row> one, List<Row> other) {
            other.forEach(row -> add(row, one));
            return one;
        }
    }

    /** Name of a person, 0 if they have not come, and whether they sold. */
    private static final class Seen implements AggregateFunction<Row, Row, Row> {
        @Override
        public Row createAccumulator() {
            return new Row();
        }

        @Override
        public Row add(Row row, Row seen) {
            if (row.e == 1) {
                seen.b = row.b;
                seen.c = 1;
            } else {
                seen.d = 1;
            }
            return seen;
        }

        @Override
        public Row getResult(Row seen) {
            return seen;
        }

        @Override
        public Row merge(Row one, Row other) {
            one.b = Math.max(one.b, other.b);
            one.c |= other.c;
            one.d |= other.d;
            return one;
        }
    }

    private static final class NewSeller extends ProcessWindowFunction<Row, Row, Long, TimeWindow> {
        @Override
        public void process(Long id, Context context, Iterable<Row> rows, Collector<Row> out) {
            Row seen = rows.iterator().next();
            if (seen.c == 1 && seen.d == 1) {
                out.collect(Row.of(id, seen.b, context.window().getStart() * 1000, 0, 1));
            }
        }
    }
}
