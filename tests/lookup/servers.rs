//! Servers of a test's own: in a temporary folder, on a socket in it, stopped by the process that
//! was started.

#![allow(dead_code)] // Not every test needs all of them.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::eventually::eventually;

/// A server, and the folder that goes with it.
pub struct Server {
    child: Option<Child>,
    pub folder: PathBuf,
    start: Box<dyn Fn(&Path) -> Command + Send>,
    /// The signal that ends it at once.
    end: &'static str,
}

impl Server {
    fn new(
        folder: PathBuf,
        end: &'static str,
        start: impl Fn(&Path) -> Command + Send + 'static,
    ) -> Self {
        let mut new = Self { child: None, folder, start: Box::new(start), end };
        new.start();
        new
    }

    /// Starts the server, anew if it was killed.
    pub fn start(&mut self) {
        let mut command = (self.start)(&self.folder);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("the server starts"));
    }

    /// Sends it a signal, by its name.
    pub fn signal(&self, name: &str) {
        let Some(child) = &self.child else { return };
        let mut kill = Command::new("kill");
        let status = kill.arg(format!("-{name}")).arg(child.id().to_string()).status();
        assert!(status.expect("there is a kill").success());
    }

    /// Ends it at once, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(self.end);
        if let Some(mut child) = self.child.take() {
            child.wait().expect("it ends");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.signal("CONT");
            self.kill();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// An empty folder.
fn folder(name: &str) -> PathBuf {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let name = format!("millstream-{name}-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).expect("there is room");
    folder
}

/// Where a program is, if it is here.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders =
        std::env::split_paths(&path).chain(versions.map(|version| version.path().join("bin")));
    let mut programs = folders.map(|folder| folder.join(name));
    let found = programs.find(|program| program.is_file());
    if found.is_none() {
        println!("skipped: there is no `{name}` here");
    }
    found
}

/// A PostgreSQL server with an empty database.
pub fn postgres() -> Option<Server> {
    let (initdb, postgres) = (program("initdb")?, program("postgres")?);
    let folder = folder("postgres");
    // It refuses to be run by root.
    let user = unprivileged();
    if let Some((user, group)) = user {
        chown(&folder, Some(user), Some(group)).expect("it is ours to give");
    }
    let command = move |program: &Path, folder: &Path| {
        let mut command = Command::new(program);
        command.arg("-D").arg(folder.join("data")).current_dir(folder);
        if let Some((user, group)) = user {
            command.uid(user).gid(group);
        }
        command
    };
    let mut init = command(&initdb, &folder);
    let init = init.args(["-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
    let made = init.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it can be run");
    assert!(made.success(), "initdb failed");
    // It takes its own processes along then.
    Some(Server::new(folder, "QUIT", move |folder| {
        let mut server = command(&postgres, folder);
        server.arg("-k").arg(folder).args(["-c", "listen_addresses=", "-c", "fsync=off"]);
        server
    }))
}

/// A user and group that are not root's, if this is root.
fn unprivileged() -> Option<(u32, u32)> {
    let id = |flag: &str, name: &[&str]| {
        let output = Command::new("id").arg(flag).args(name).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<u32>().ok()
    };
    if id("-u", &[]) != Some(0) {
        return None;
    }
    let of = |name| Some((id("-u", &[name])?, id("-g", &[name])?));
    of("postgres").or_else(|| of("nobody"))
}

/// A Redis server with nothing in it.
pub fn redis() -> Option<Server> {
    let program = program("redis-server")?;
    let server = Server::new(folder("redis"), "KILL", move |folder| {
        let mut server = Command::new(&program);
        server.args(["--port", "0", "--save", "", "--appendonly", "no"]).arg("--unixsocket");
        server.arg(folder.join("socket")).arg("--dir").arg(folder);
        server
    });
    eventually("it listens", || server.folder.join("socket").exists());
    Some(server)
}
