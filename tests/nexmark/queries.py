"""The queries of NEXMark in SQL, over events in CSV files, for tests/nexmark.rs.

    python3 tests/nexmark/queries.py FOLDER

Reads people.csv, auctions.csv and bids.csv, writes results/q0.csv and so on: a line for each row, in
no order. Times are nanoseconds since 1970. Written from the reference SQL and from src/nexmark/mod.rs,
which says where the two differ; knows nothing of how the engine does it.
"""

import pathlib
import sys

import duckdb

NUMBER, TEXT = "BIGINT", "VARCHAR"

TABLES = {
    "people": {
        "arrived": NUMBER,
        "id": NUMBER,
        "name": TEXT,
        "email": TEXT,
        "credit_card": TEXT,
        "city": TEXT,
        "state": TEXT,
        "ts": NUMBER,
        "extra": TEXT,
    },
    "auctions": {
        "arrived": NUMBER,
        "id": NUMBER,
        "item": TEXT,
        "description": TEXT,
        "initial_bid": NUMBER,
        "reserve": NUMBER,
        "ts": NUMBER,
        "expires": NUMBER,
        "seller": NUMBER,
        "category": NUMBER,
        "extra": TEXT,
    },
    "bids": {
        "arrived": NUMBER,
        "auction": NUMBER,
        "bidder": NUMBER,
        "price": NUMBER,
        "channel": TEXT,
        "url": TEXT,
        "ts": NUMBER,
        "extra": TEXT,
    },
}

# What several queries have in common.
VIEWS = """
CREATE MACRO day(t) AS strftime(make_timestamp(t // 1000), '%Y-%m-%d');
CREATE MACRO minute_of(t) AS strftime(make_timestamp(t // 1000), '%H:%M');
CREATE MACRO hour_of(t) AS hour(make_timestamp(t // 1000));
CREATE MACRO tumble(t) AS t // 10_000_000_000 * 10_000_000_000;
CREATE MACRO euro(cents) AS 0.908::DECIMAL(4, 3) * cents;
CREATE MACRO thousandths(amount) AS CAST(amount * 1000 AS BIGINT);

CREATE VIEW bid AS SELECT auction, bidder, price, channel, url, ts, extra FROM bids;
CREATE VIEW auction AS SELECT * EXCLUDE (arrived) FROM auctions;
CREATE TABLE winning AS
    SELECT a.id, a.category, a.seller, a.expires, b.price, b.ts AS bid_at
    FROM auction a JOIN bid b ON a.id = b.auction AND b.ts BETWEEN a.ts AND a.expires
    QUALIFY row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.ts) = 1;
"""

COUNTS = """
    count(*),
    count(*) FILTER (price < 10000),
    count(*) FILTER (price >= 10000 AND price < 1000000),
    count(*) FILTER (price >= 1000000)"""


def distinct(what):
    """The number of different ones, in all and in each rank of price."""
    return f"""
    count(DISTINCT {what}),
    count(DISTINCT {what}) FILTER (price < 10000),
    count(DISTINCT {what}) FILTER (price >= 10000 AND price < 1000000),
    count(DISTINCT {what}) FILTER (price >= 1000000)"""


STATISTICS = f"{COUNTS}, {distinct('bidder')}, {distinct('auction')}"

QUERIES = [
    # 0
    "SELECT auction, bidder, price, ts, extra FROM bid",
    "SELECT auction, bidder, thousandths(euro(price)), ts, extra FROM bid",
    "SELECT auction, price FROM bid WHERE auction % 123 = 0",
    """
    SELECT a.id, p.name, p.city, p.state FROM auction a JOIN people p ON a.seller = p.id
    WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')
    """,
    """
    SELECT category, CAST(sum(final) // count(*) AS BIGINT) FROM (
        SELECT a.category, max(b.price) AS final FROM auction a, bid b
        WHERE a.id = b.auction AND b.ts BETWEEN a.ts AND a.expires
        GROUP BY a.id, a.category)
    GROUP BY category
    """,
    # 5
    """
    WITH counts AS (
        SELECT ending, auction, count(*) AS num FROM (
            SELECT auction, (ts // 2_000_000_000 + unnest(range(1, 6))) * 2_000_000_000 AS ending
            FROM bid)
        GROUP BY ending, auction)
    SELECT ending, auction, num FROM counts c
    JOIN (SELECT ending, max(num) AS most FROM counts GROUP BY ending) m USING (ending)
    WHERE num >= most
    """,
    """
    SELECT seller, CAST(sum(price) OVER last_ten // count(*) OVER last_ten AS BIGINT) FROM winning
    WINDOW last_ten AS
        (PARTITION BY seller ORDER BY expires ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)
    """,
    """
    SELECT auction, price, bidder, ts, extra FROM bid b
    JOIN (SELECT tumble(ts) AS start, max(price) AS most FROM bid GROUP BY tumble(ts)) m
    ON tumble(b.ts) = m.start AND b.price = m.most
    """,
    """
    SELECT DISTINCT p.id, p.name, tumble(p.ts) FROM people p JOIN auction a
    ON p.id = a.seller AND tumble(p.ts) = tumble(a.ts)
    """,
    """
    SELECT a.*, b.* FROM auction a JOIN bid b
    ON a.id = b.auction AND b.ts BETWEEN a.ts AND a.expires
    QUALIFY row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.ts) = 1
    """,
    # 10
    "SELECT auction, bidder, price, ts, extra, day(ts), minute_of(ts) FROM bid",
    """
    WITH parts AS (
        SELECT bidder, ts, sum(is_first) OVER (PARTITION BY bidder ORDER BY ts) AS part FROM (
            SELECT bidder, ts, CAST(coalesce(
                ts - lag(ts) OVER (PARTITION BY bidder ORDER BY ts) > 10_000_000_000, true
            ) AS BIGINT) AS is_first FROM bid))
    SELECT bidder, count(*), min(ts), max(ts) + 10_000_000_000 FROM parts GROUP BY bidder, part
    """,
    """
    SELECT bidder, count(*), tumble(arrived), tumble(arrived) + 10_000_000_000 FROM bids
    GROUP BY bidder, tumble(arrived)
    """,
    """
    SELECT b.auction, b.bidder, b.price, b.ts, s.value FROM bid b
    JOIN (SELECT unnest(range(10000)) AS key, CAST(key AS VARCHAR) AS value) s
    ON b.auction % 10000 = s.key
    """,
    """
    SELECT auction, bidder, thousandths(euro(price)), CASE
        WHEN hour_of(ts) >= 8 AND hour_of(ts) <= 18 THEN 'dayTime'
        WHEN hour_of(ts) <= 6 OR hour_of(ts) >= 20 THEN 'nightTime'
        ELSE 'otherTime' END, ts, extra, length(extra) - length(replace(extra, 'c', ''))
    FROM bid WHERE euro(price) > 1000000 AND euro(price) < 50000000
    """,
    # 15
    f"SELECT day(ts), {STATISTICS} FROM bid GROUP BY day(ts)",
    f"""
    SELECT channel, max(minute_of(ts)), day(ts), {STATISTICS} FROM bid GROUP BY channel, day(ts)
    """,
    f"""
    SELECT auction, day(ts), {COUNTS}, min(price), max(price),
        CAST(sum(price) // count(*) AS BIGINT), CAST(sum(price) AS BIGINT)
    FROM bid GROUP BY auction, day(ts)
    """,
    """
    SELECT bidder, auction, * FROM bid
    QUALIFY row_number() OVER (PARTITION BY bidder, auction ORDER BY ts DESC) = 1
    """,
    """
    SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, ts) AS place FROM bid
    QUALIFY place <= 10
    """,
    # 20
    "SELECT b.*, a.* FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10",
    """
    SELECT auction, bidder, price, channel, channel_id FROM (
        SELECT *, CASE lower(channel)
            WHEN 'apple' THEN '0' WHEN 'google' THEN '1'
            WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
            ELSE nullif(regexp_extract(url, '(&|^)channel_id=([^&]*)', 2), '') END AS channel_id
        FROM bid)
    WHERE channel_id IS NOT NULL
    """,
    """
    SELECT auction, bidder, price, channel, split(url, '/')[4], split(url, '/')[5],
        split(url, '/')[6] FROM bid
    """,
]


def main(folder):
    database = duckdb.connect()
    for name, columns in TABLES.items():
        path = str(folder / f"{name}.csv")
        database.execute(
            f"CREATE TABLE {name} AS SELECT * FROM read_csv(?, header = false, nullstr = '-', columns = ?)",
            [path, columns],
        )
    database.execute(VIEWS)
    for number, query in enumerate(QUERIES):
        rows = database.execute(query).fetchall()
        lines = [",".join(map(str, row)) + "\n" for row in rows]
        (folder / "results" / f"q{number}.csv").write_text("".join(lines))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
