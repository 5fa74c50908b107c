package flink;

import common.Workload;
import common.Workload.Stamps;
import org.apache.flink.streaming.api.functions.sink.legacy.RichSinkFunction;

/** A sink that hashes rows, and stamps them one by one where latency is asked for. */
final class Rows extends RichSinkFunction<Row> {
    private final boolean isPaced;
    private transient long rows, hash, warm, last, period;

    Rows(boolean isPaced) {
        this.isPaced = isPaced;
    }

    @Override
    public void open(org.apache.flink.api.common.functions.OpenContext context) {
        if (isPaced) {
            period = 1_000_000_000L / Rival.args.rate;
            last = (long) (Rival.args.rate * Rival.args.seconds) * period;
            warm = last / 5;
            synchronized (Rival.found) {
                if (Rival.found.stamps == null) {
                    Rival.found.stamps = new Stamps();
                }
            }
        }
    }

    @Override
    public void invoke(Row row, Context context) {
        if (isPaced) {
            // The end of the window is the second word, in nanoseconds.
            long due = Sources.Paced.start + row.b - period;
            if (row.b > warm && row.b < last) {
                Rival.found.stamps.add(System.nanoTime() - due);
            }
        }
        long sign = row.isTakenBack ? -1 : 1;
        rows += sign;
        hash += sign * Workload.hash(row.a, row.b, row.c, row.d, row.e);
    }

    @Override
    public void finish() {
        Rival.found.add(rows, hash);
        Rival.found.end();
    }
}
