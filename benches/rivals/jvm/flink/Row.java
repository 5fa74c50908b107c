package flink;

/** A row of a result, or one taken back. */
public class Row {
    public long a, b, c, d, e;
    public boolean isTakenBack;

    public Row() {}

    public static Row of(long a, long b, long c, long d, long e) {
        Row row = new Row();
        row.a = a;
        row.b = b;
        row.c = c;
        row.d = d;
        row.e = e;
        return row;
    }

    public static Row takenBack(long a, long b) {
        Row row = of(a, b, 0, 0, 0);
        row.isTakenBack = true;
        return row;
    }
}
