package spark;

import common.Workload;
import common.Workload.Events;
import java.util.Map;
import java.util.Set;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.SpecificInternalRow;
import org.apache.spark.sql.connector.catalog.SupportsRead;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableCapability;
import org.apache.spark.sql.connector.catalog.TableProvider;
import org.apache.spark.sql.connector.expressions.Transform;
import org.apache.spark.sql.connector.read.InputPartition;
import org.apache.spark.sql.connector.read.PartitionReader;
import org.apache.spark.sql.connector.read.PartitionReaderFactory;
import org.apache.spark.sql.connector.read.Scan;
import org.apache.spark.sql.connector.read.ScanBuilder;
import org.apache.spark.sql.connector.read.streaming.MicroBatchStream;
import org.apache.spark.sql.connector.read.streaming.Offset;
import org.apache.spark.sql.connector.read.streaming.ReadLimit;
import org.apache.spark.sql.connector.read.streaming.SupportsAdmissionControl;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/**
 * A source over records in memory: "all" of the readings, the "left" and the "right" ones, those of
 * an open loop ("paced"), or "events". Behind the last record comes one of a far future, in a batch
 * of its own, so that all windows close: nothing else closes them here.
 */
public final class Memory implements TableProvider {
    /** Records of a micro-batch: a second of readings. */
    private static final long BATCH = 1 << 20;
    /** When the first reading is taken: not at 0, which counts as late from the start. */
    static final long FIRST = 86_400 * Workload.SECOND;
    private static final StructType READINGS =
        StructType.fromDDL("key INT, value INT, taken TIMESTAMP");
    private static final StructType EVENTS = StructType.fromDDL("kind INT, id BIGINT, "
        + "at TIMESTAMP, who BIGINT, what BIGINT, more BIGINT, name BIGINT, city BIGINT, "
        + "state BIGINT");

    @Override
    public StructType inferSchema(CaseInsensitiveStringMap options) {
        return options.get("what").equals("events") ? EVENTS : READINGS;
    }

    @Override
    public Table getTable(
            StructType schema, Transform[] partitioning, Map<String, String> properties) {
        return new Records(properties.get("what"), schema);
    }

    private record Records(String what, StructType schema) implements Table, SupportsRead {
        @Override
        public String name() {
            return what;
        }

        @Override
        public Set<TableCapability> capabilities() {
            return Set.of(TableCapability.MICRO_BATCH_READ);
        }

        @Override
        public ScanBuilder newScanBuilder(CaseInsensitiveStringMap options) {
            return () -> new Scan() {
                @Override
                public StructType readSchema() {
                    return schema;
                }

                @Override
                public MicroBatchStream toMicroBatchStream(String checkpoint) {
                    return new Batches(what, schema);
                }
            };
        }
    }

    private static final class Place extends Offset {
        final long number;

        Place(long number) {
            this.number = number;
        }

        @Override
        public String json() {
            return Long.toString(number);
        }
    }

    private record Range(long from, long to) implements InputPartition {}

    private record Batches(String what, StructType schema)
            implements MicroBatchStream, SupportsAdmissionControl {
        private long count() {
            boolean isPaced = what.equals("paced");
            return isPaced ? (long) (Rival.args.rate * Rival.args.seconds) : Rival.args.records;
        }

        @Override
        public Offset initialOffset() {
            return new Place(0);
        }

        @Override
        public Offset deserializeOffset(String json) {
            return new Place(Long.parseLong(json));
        }

        @Override
        public Offset latestOffset() {
            throw new UnsupportedOperationException("it is asked with a limit");
        }

        @Override
        public ReadLimit getDefaultReadLimit() {
            return ReadLimit.allAvailable();
        }

        @Override
        public Offset latestOffset(Offset start, ReadLimit limit) {
            long from = ((Place) start).number, count = count();
            if (from >= count) {
                return new Place(count + 1);
            }
            if (what.equals("paced")) {
                long due = System.nanoTime() - Rival.start;
                long number = due < 0 ? 0 : due / (1_000_000_000L / Rival.args.rate) + 1;
                return new Place(Math.max(from, Math.min(number, count)));
            }
            return new Place(Math.min(from + BATCH, count));
        }

        @Override
        public InputPartition[] planInputPartitions(Offset start, Offset end) {
            Rival.found.begin();
            long from = ((Place) start).number, to = ((Place) end).number;
            int parts = Rival.args.cores;
            InputPartition[] planned = new InputPartition[parts];
            for (int part = 0; part < parts; part++) {
                planned[part] = new Range(from + (to - from) * part / parts,
                    from + (to - from) * (part + 1) / parts);
            }
            return planned;
        }

        @Override
        public PartitionReaderFactory createReaderFactory() {
            return new Factory(what, schema, count());
        }

        @Override
        public void commit(Offset end) {}

        @Override
        public void stop() {}
    }

    private record Factory(String what, StructType schema, long count)
            implements PartitionReaderFactory {
        @Override
        public PartitionReader<InternalRow> createReader(InputPartition partition) {
            return new Reader(what, schema, count, (Range) partition);
        }
    }

    private static final class Reader implements PartitionReader<InternalRow> {
        private final String what;
        private final SpecificInternalRow row;
        private final long count, to, first, step, keys, period;
        private long next;

        Reader(String what, StructType schema, long count, Range range) {
            this.what = what;
            this.count = count;
            boolean isPaced = what.equals("paced");
            boolean isSide = what.equals("left") || what.equals("right");
            first = what.equals("right") ? 1 : 0;
            step = isSide ? 2 : 1;
            keys = isPaced ? Workload.PACED_KEYS : Workload.KEYS;
            period = isPaced ? 1_000_000 / Rival.args.rate : Workload.PERIOD;
            row = new SpecificInternalRow(schema);
            next = range.from() - 1;
            to = range.to();
        }

        @Override
        public boolean next() {
            next++;
            while (next < to && next < count && next % step != first) {
                next++;
            }
            return next < to;
        }

        @Override
        public InternalRow get() {
            int index = (int) next;
            if (what.equals("events")) {
                return event(index);
            }
            boolean isLast = next == count;
            boolean isPaced = what.equals("paced");
            row.setInt(0, isLast ? -1
                : isPaced ? Workload.key(next, keys) : Rival.readings.key[index]);
            row.setInt(1, isLast ? 0 : isPaced ? Workload.value(next) : Rival.readings.value[index]);
            row.setLong(2, FIRST + next * period + (isLast ? 1000 * Workload.SECOND : 0));
            return row;
        }

        private InternalRow event(int index) {
            Events all = Rival.events;
            boolean isLast = index == count;
            int place = isLast ? index - 1 : index;
            boolean isPerson = !isLast && all.kind[index] == Events.PERSON;
            row.setInt(0, isLast ? 9 : all.kind[index]);
            row.setLong(1, all.id[place]);
            row.setLong(2, all.at[place] + (isLast ? 1000 * Workload.SECOND : 0));
            row.setLong(3, all.who[place]);
            row.setLong(4, all.what[place]);
            row.setLong(5, all.more[place]);
            row.setLong(6, isPerson ? Workload.text(all.name[index]) : 0);
            row.setLong(7, isPerson ? Workload.text(all.city[index]) : 0);
            row.setLong(8, isPerson ? Workload.text(all.state[index]) : 0);
            return row;
        }

        @Override
        public void close() {}
    }
}
