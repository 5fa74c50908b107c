package flink;

import common.Workload;
import common.Workload.Args;
import common.Workload.Events;
import common.Workload.Found;
import common.Workload.Readings;
import java.nio.file.Path;
import java.util.concurrent.CyclicBarrier;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Apache Flink, by its DataStream and its SQL, in one process. */
public final class Rival {
    /** What sources and sinks share: they run in this process. */
    static Args args;
    static Readings readings;
    static Events events;
    static volatile Found found;
    static CyclicBarrier together;

    private Rival() {}

    public static void main(String[] words) throws Exception {
        args = new Args(words);
        try {
            if (args.isQuery()) {
                events = new Events(Path.of(args.events), args.records);
            } else if (args.rate == 0) {
                readings = new Readings(args.records);
            }
            Workload.contest("flink", args, Rival::pass);
        } catch (Exception error) {
            error.printStackTrace();
            Throwable cause = error;
            while (cause.getCause() != null) {
                cause = cause.getCause();
            }
            Workload.leftOut("flink", args.workload, cause.toString());
        }
        System.exit(0);
    }

    private static Found pass() throws Exception {
        found = new Found();
        together = new CyclicBarrier(args.workload.equals("join") ? 1 : args.cores);
        Configuration config = new Configuration();
        config.setString("taskmanager.memory.network.min", "256m");
        config.setString("taskmanager.memory.network.max", "256m");
        config.setString("rest.bind-port", "0");
        StreamExecutionEnvironment env =
            StreamExecutionEnvironment.createLocalEnvironment(args.cores, config);
        env.getConfig().enableObjectReuse();
        env.getConfig().setAutoWatermarkInterval(0);
        if (args.workload.equals("latency")) {
            env.setBufferTimeout(0);
        }
        switch (args.workload) {
            case "tumbling" -> Windows.tumbling(env);
            case "sliding" -> {
                if (args.way.equals("sql")) {
                    Sql.sliding(env);
                } else {
                    Windows.sliding(env);
                }
            }
            case "join" -> Windows.join(env);
            case "latency" -> Windows.paced(env);
            default -> Queries.query(env, args.workload);
        }
        env.execute(args.workload);
        return found;
    }

    /**
     * Records by key. On one core all keys are here, so that there is no need of a shuffle: the
     * stream is declared to be keyed, and all operators are one chain. So it is unless a shuffle is
     * asked for.
     */
    static <T, K> KeyedStream<T, K> keyed(
            DataStream<T> records, KeySelector<T, K> key, TypeInformation<K> type) {
        if (args.cores == 1 && !args.way.equals("shuffle")) {
            return DataStreamUtils.reinterpretAsKeyedStream(records, key, type);
        }
        return records.keyBy(key, type);
    }
}
