package flink;

import common.Workload;
import common.Workload.Readings;
import org.apache.flink.streaming.api.functions.source.legacy.RichParallelSourceFunction;
import org.apache.flink.streaming.api.functions.source.legacy.SourceFunction;
import org.apache.flink.streaming.api.watermark.Watermark;

/**
 * Sources over records in memory. They stamp and give watermarks themselves. Each record is an
 * object of its own, since the join keeps them. Watermarks come with each chunk.
 */
final class Sources {
    private Sources() {}

    private static int subtask(RichParallelSourceFunction<?> source) {
        return source.getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
    }

    private static int subtasks(RichParallelSourceFunction<?> source) {
        return source.getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks();
    }

    /** Readings: all of them, or those of even or odd number. */
    static final class InMemory extends RichParallelSourceFunction<Reading> {
        private final int first, step;

        InMemory(int first, int step) {
            this.first = first;
            this.step = step;
        }

        @Override
        public void run(SourceFunction.SourceContext<Reading> out) throws Exception {
            Readings all = Rival.readings;
            int chunk = Workload.CHUNK * step, from = subtask(this) * chunk;
            Rival.together.await();
            Rival.found.begin();
            for (; from < all.key.length; from += chunk * subtasks(this)) {
                int to = Math.min(from + chunk, all.key.length);
                synchronized (out.getCheckpointLock()) {
                    for (int index = from + first; index < to; index += step) {
                        Reading reading = new Reading();
                        reading.key = all.key[index];
                        reading.value = all.value[index];
                        reading.at = index;
                        out.collectWithTimestamp(reading, index);
                    }
                    out.emitWatermark(new Watermark(to - 1));
                }
            }
        }

        @Override
        public void cancel() {}
    }

    /**
     * An open loop: spins on the clock, gives what is due, says what is complete. While nothing is
     * due, several of them let the threads of the windows have their cores.
     */
    static final class Paced extends RichParallelSourceFunction<Reading> {
        /** When the first record is due, by System.nanoTime. */
        static volatile long start;

        private volatile boolean isOn = true;

        @Override
        public void run(SourceFunction.SourceContext<Reading> out) throws Exception {
            long period = 1_000_000_000L / Rival.args.rate;
            long records = (long) (Rival.args.rate * Rival.args.seconds);
            int subtask = subtask(this), subtasks = subtasks(this);
            if (subtask == 0) {
                start = System.nanoTime() + 300_000_000L;
            }
            Rival.together.await();
            Rival.found.begin();
            long window = Workload.WINDOW * 1000, closes = window;
            for (long next = subtask; next < records && isOn; ) {
                long now = System.nanoTime();
                if (start + next * period > now) {
                    if (subtasks > 1) {
                        Thread.yield();
                    } else {
                        Thread.onSpinWait();
                    }
                    continue;
                }
                synchronized (out.getCheckpointLock()) {
                    for (int most = Workload.CHUNK; most > 0; most--) {
                        if (next >= records || start + next * period > now) {
                            break;
                        }
                        Reading reading = new Reading();
                        reading.key = Workload.key(next, Workload.PACED_KEYS);
                        reading.value = Workload.value(next);
                        reading.at = next * period / 1000;
                        out.collectWithTimestamp(reading, reading.at);
                        next += subtasks;
                        // The time of the next record is known before it is due.
                        if (next * period >= closes) {
                            out.emitWatermark(new Watermark(closes / 1000 - 1));
                            closes += window;
                        }
                    }
                }
            }
        }

        @Override
        public void cancel() {
            isOn = false;
        }
    }

    /** What a query takes of the event of a number: null if nothing. */
    interface Take<T> extends java.io.Serializable {
        T of(int index);
    }

    /** What a query takes of events. */
    static final class OfEvents<T> extends RichParallelSourceFunction<T> {
        private final Take<T> take;

        OfEvents(Take<T> take) {
            this.take = take;
        }

        @Override
        public void run(SourceFunction.SourceContext<T> out) throws Exception {
            long[] at = Rival.events.at;
            int chunk = Workload.CHUNK;
            Rival.found.begin();
            for (int from = 0; from < at.length; from += chunk) {
                int to = Math.min(from + chunk, at.length);
                synchronized (out.getCheckpointLock()) {
                    for (int index = from; index < to; index++) {
                        T taken = take.of(index);
                        if (taken != null) {
                            out.collectWithTimestamp(taken, at[index]);
                        }
                    }
                    out.emitWatermark(new Watermark(at[to - 1]));
                }
            }
        }

        @Override
        public void cancel() {}
    }
}
