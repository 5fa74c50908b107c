//! Results in a real PostgreSQL server, which is killed too.

use std::path::Path;

use millstream::commit::{PostgresRows, PostgresValue};
use millstream::runtime::{Restart, Summary};
use millstream::{Pipeline, Record, Result, Stage, Stream, ms};
use tokio_postgres::{Client, Error, NoTls};

use super::{FOLDER, Line, engine, folder, instants, joined, kill, kills, numbers, want};
use crate::eventually::eventually;
use crate::servers::{self, Server};

/// Says to the process that is killed where the server is.
pub const SERVER: &str = "server";

fn settings(place: &Path) -> String {
    format!("host={} user=test dbname=postgres", place.display())
}

fn run(folder: &Path) -> Result<Summary> {
    run_with(folder, Restart::fixed_delay(1_000, ms(10)))
}

fn run_once(folder: &Path) -> Result<Summary> {
    run_with(folder, Restart::none())
}

fn run_with(folder: &Path, restart: Restart) -> Result<Summary> {
    let rows = rows(folder)?;
    let engine = engine(folder)?.restart(restart);
    engine.run(move |p| {
        into_rows(joined(p.source(numbers(p)), p.source(numbers(p))), &rows, p);
        Ok(())
    })
}

/// The rows of the server that a folder names.
pub fn rows(folder: &Path) -> Result<PostgresRows> {
    let server = std::fs::read_to_string(folder.join(SERVER)).unwrap();
    let insert = "INSERT INTO lines VALUES ($1, $2, $3, $4)";
    Ok(PostgresRows::new(&settings(Path::new(&server)), "windows", insert)?)
}

pub fn into_rows<'p>(
    lines: Stream<'p, impl Stage<Out = Line>>,
    rows: &PostgresRows,
    p: Pipeline<'p>,
) {
    lines.sink(rows.sink(p.shard(), |record: &Record<Line>| {
        let (key, count, sum, end) = record.value;
        let values: [PostgresValue; 4] =
            [Box::new(key), Box::new(count as i64), Box::new(sum), Box::new(end)];
        values.into()
    }));
}

/// Asks the server something.
fn ask<T>(
    server: &Server,
    question: impl AsyncFnOnce(&Client) -> std::result::Result<T, Error>,
) -> std::result::Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (client, connection) =
            tokio_postgres::connect(&settings(&server.folder), NoTls).await?;
        tokio::spawn(connection);
        question(&client).await
    })
}

/// By itself it has a server of its own, which is killed while it runs.
#[test]
fn a_server_that_is_killed() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        run(Path::new(&folder)).unwrap();
        return;
    }
    let Some(mut server) = with_table() else { return };
    let folder = folder("server-killed");
    std::fs::write(folder.join(SERVER), server.folder.display().to_string()).unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| run(&folder));
        // Each time later, so that it gets on however slow the host is.
        for pause in (60..).step_by(20) {
            std::thread::sleep(ms(pause));
            if run.is_finished() {
                break;
            }
            server.kill();
            server.start();
            eventually("it answers", || ask(&server, async |it| it.simple_query("").await).is_ok());
        }
        assert!(run.join().unwrap().unwrap().restarts > 0, "it never noticed");
    });
    check(&server);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn killed_with_rows_in_a_server() {
    let (mut left, mut rng) = (kills(10), instants(23));
    while left > 0 {
        let Some(server) = with_table() else { return };
        let folder = folder(&format!("rows-{left}"));
        std::fs::write(folder.join(SERVER), server.folder.display().to_string()).unwrap();
        left -= kill("postgres::a_server_that_is_killed", &folder, &mut rng, || ());
        check(&server);
        eprintln!("all rows are there, once each; {} kills left", left.max(0));
        std::fs::remove_dir_all(folder).unwrap();
    }
}

pub fn with_table() -> Option<Server> {
    let server = servers::postgres()?;
    let table = "CREATE TABLE lines (key bigint, count bigint, sum bigint, number bigint)";
    eventually("it answers", || ask(&server, async |it| it.batch_execute(table).await).is_ok());
    Some(server)
}

/// What is there is what must be, once each.
pub fn check(server: &Server) {
    let rows = ask(server, async |it| it.query("SELECT * FROM lines", &[]).await).unwrap();
    let mut found = std::collections::BTreeMap::new();
    for row in rows {
        let [key, count, sum, end] = [0, 1, 2, 3].map(|column| row.get::<_, i64>(column));
        *found.entry(format!("{key} {count} {sum} {end}")).or_default() += 1;
    }
    assert_eq!(found, want());
}

/// Who begins again from the beginning, where all is there, is told so and changes nothing.
#[test]
fn a_run_whose_checkpoints_are_gone_is_refused() {
    if std::env::var_os(FOLDER).is_some() {
        return;
    }
    let Some(server) = with_table() else { return };
    let folder = folder("checkpoints-gone");
    std::fs::write(folder.join(SERVER), server.folder.display().to_string()).unwrap();
    run(&folder).unwrap();
    std::fs::remove_dir_all(folder.join("checkpoints")).unwrap();
    let error = run_once(&folder).err().unwrap().to_string();
    assert!(
        error.contains("of this sink, and this is 1: another run has used its name"),
        "{error}"
    );
    check(&server);
    std::fs::remove_dir_all(folder).unwrap();
}
