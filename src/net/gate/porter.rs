//! The thread at the gate: accepts, shakes hands, asks who it is, and hands over to the shards.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::ServerConnection;

use crate::net::counts::Count;
use crate::net::gate::handing::Handing;
use crate::net::gate::hello::{Hello, REFUSED, WELCOME};
use crate::net::gate::poller::{BELL, Poller};
use crate::net::gate::session::{Failure, Session, Stands};
use crate::net::gate::{Rules, Served};
use crate::net::wire::prepare;
use crate::time::{Clock, SystemClock, Timestamp};
use crate::trust::Refusal;

/// What the listening socket is known by.
const LISTENER: u64 = u64::MAX - 1;

/// Connections accepted in one turn.
const TURN: usize = 16;

/// How long one who was refused may take to hear why.
const PARTING_NS: i64 = 1_000_000_000;

/// How often visitors are asked how long they have been there, at least.
const LOOK: Duration = Duration::from_millis(50);

/// How long nobody is accepted after the system could not.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Where somebody stands who has connected.
enum Stage {
    ShakingHands,
    /// His first line is awaited; what came of it so far.
    Asked(Vec<u8>),
    /// He was refused, and may hear why.
    Parting,
}

/// Somebody who has connected and has not been let in.
struct Visit {
    session: Session,
    remote: SocketAddr,
    stage: Stage,
    came: Timestamp,
    /// When he is sent away.
    until: Timestamp,
}

/// Everything the thread has.
pub struct Porter {
    poller: Poller,
    listener: Option<TcpListener>,
    visits: Vec<Option<Visit>>,
    rules: Arc<Rules>,
    handing: Handing,
    clock: SystemClock,
    /// When visitors are asked next how long they have been there.
    look_at: Timestamp,
}

impl Porter {
    pub fn new(poller: Poller, listener: TcpListener, rules: Arc<Rules>) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        poller.listen(&listener, LISTENER)?;
        let visits = (0..rules.visits_max).map(|_| None).collect();
        let (listener, clock) = (Some(listener), SystemClock::new());
        let Rules { kernel, teller, beside, .. } = &*rules;
        let handing = Handing::new(kernel.clone(), teller.clone(), beside.clone());
        let look_at = Timestamp::MIN;
        Ok(Self { poller, listener, visits, rules, handing, clock, look_at })
    }

    /// Until the gate is closed.
    pub fn run(&mut self) {
        let (mut ready, mut beside) = (Vec::new(), self.rules.beside.clone());
        while !self.rules.is_closed.load(Ordering::Acquire) {
            beside.apply();
            self.poller.wait(LOOK, &mut ready);
            for key in ready.drain(..) {
                match key {
                    LISTENER => self.accept(),
                    BELL => {}
                    key => self.advance(key as usize),
                }
            }
            if self.rules.is_stopped.load(Ordering::Acquire) {
                self.listener = None;
            }
            let now = self.clock.now();
            if now >= self.look_at {
                self.look_at = now.offset(LOOK.as_nanos() as i64);
                self.look(now);
            }
        }
    }

    fn accept(&mut self) {
        for _ in 0..TURN {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((stream, remote)) => self.begin(stream, remote),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // There may be no descriptors left.
                    self.rules.teller.count(Count::NotAccepted);
                    return std::thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
    }

    fn begin(&mut self, stream: TcpStream, remote: SocketAddr) {
        let slot = self.vacant();
        prepare(&stream);
        let is_ready =
            stream.set_nonblocking(true).and_then(|()| self.poller.add(&stream, slot as u64));
        let config = self.rules.tls.as_ref().map(|tls| tls.config());
        let session = match config.map(ServerConnection::new) {
            None => Session::plain(stream),
            Some(Ok(tls)) => Session::sealed(stream, tls),
            Some(Err(_)) => return self.rules.teller.count(Count::NotAccepted),
        };
        if is_ready.is_err() {
            return self.rules.teller.count(Count::NotAccepted);
        }
        let came = self.clock.now();
        let until = came.offset(self.rules.patience.as_nanos() as i64);
        let stage = Stage::ShakingHands;
        self.visits[slot] = Some(Visit { session, remote, stage, came, until });
        self.advance(slot);
    }

    /// A place for one more: where there is none, the one who has taken longest makes room.
    fn vacant(&mut self) -> usize {
        if let Some(slot) = self.visits.iter().position(Option::is_none) {
            return slot;
        }
        let came = |visit: &Option<Visit>| visit.as_ref().map(|visit| visit.came);
        let (slot, _) =
            self.visits.iter().enumerate().min_by_key(|it| came(it.1)).unwrap_or((0, &None));
        if let Some(visit) = self.visits[slot].take()
            && !matches!(visit.stage, Stage::Parting)
        {
            let reason = "as many as may shake hands at once, and he has taken longest";
            self.tell(visit.remote, Failure::new(Count::Crowded, reason));
        }
        slot
    }

    fn tell(&self, remote: SocketAddr, failure: Failure) {
        self.rules.teller.on_failure(remote, failure, self.clock.now());
    }

    /// Goes on with a visit as far as it goes.
    fn advance(&mut self, slot: usize) {
        let Some(Some(visit)) = self.visits.get_mut(slot) else { return };
        match visit.advance(&self.rules) {
            Ok(Stands::Waits) => {}
            Ok(Stands::Done(served)) => {
                if let Some(visit) = self.visits[slot].take() {
                    self.let_in(visit, &served);
                }
            }
            Err(Some(failure)) => self.refuse(slot, failure),
            Err(None) => self.visits[slot] = None,
        }
    }

    /// Tells him why, if he listens, and counts it.
    fn refuse(&mut self, slot: usize, failure: Failure) {
        let until = self.clock.now().offset(PARTING_NS);
        let Some(Some(visit)) = self.visits.get_mut(slot) else { return };
        let remote = visit.remote;
        if let Stage::Asked(_) = visit.stage {
            let _ = visit.session.say(format!("{REFUSED}{}\n", failure.reason).as_bytes());
        }
        visit.session.say_goodbye();
        (visit.stage, visit.until) = (Stage::Parting, until);
        self.tell(remote, failure);
        self.advance(slot);
    }

    /// Hands him to a shard that has what he wants.
    fn let_in(&mut self, visit: Visit, served: &Served) {
        let remote = visit.remote;
        let failure = match self.hand_over(visit, served) {
            Ok(()) => return self.rules.teller.count(Count::Accepted),
            Err(failure) => failure,
        };
        self.tell(remote, failure);
    }

    fn hand_over(&mut self, visit: Visit, served: &Served) -> Result<(), Failure> {
        self.poller.remove(&visit.session.stream);
        let admitted = self.handing.hand(visit.session, visit.remote)?;
        let handed = served.next().push(admitted);
        handed.map_err(|_| Failure::new(Count::Crowded, "the shard takes nobody in for now"))
    }

    /// Sends away those whose time is over.
    fn look(&mut self, now: Timestamp) {
        for slot in 0..self.visits.len() {
            let Some(visit) = &self.visits[slot] else { continue };
            if now < visit.until {
                continue;
            }
            let reason = match visit.stage {
                Stage::Parting => {
                    self.visits[slot] = None;
                    continue;
                }
                Stage::ShakingHands => "the handshake takes too long",
                Stage::Asked(_) => "the first line does not come",
            };
            self.refuse(slot, Failure::new(Count::Unready, reason));
        }
    }
}

impl Visit {
    /// Goes on; returns whose records he brings or gets when that is settled. No failure means that
    /// he was refused before, and is gone now.
    fn advance(&mut self, rules: &Rules) -> Result<Stands<Arc<Served>>, Option<Failure>> {
        if let Stage::ShakingHands = self.stage {
            if let Stands::Waits = self.session.shake_hands()? {
                return Ok(Stands::Waits);
            }
            if !rules.hello {
                return Ok(Stands::Done(rules.admit_unasked(&self.session)?));
            }
            self.stage = Stage::Asked(Vec::new());
        }
        match &mut self.stage {
            Stage::Asked(line) => {
                if let Stands::Waits = self.session.read_line(line)? {
                    return Ok(Stands::Waits);
                }
                let served = rules.admit(&self.session, line)?;
                let said = self.session.say(WELCOME);
                said.map_err(|error| Failure::new(Count::Broken, error.to_string()))?;
                Ok(Stands::Done(served))
            }
            _ => self.part(),
        }
    }

    /// Until he has heard it, which he says by leaving; what he says is not heeded.
    fn part(&mut self) -> Result<Stands<Arc<Served>>, Option<Failure>> {
        let mut nothing = [0; 4096];
        for _ in 0..TURN {
            match self.session.stream.read(&mut nothing) {
                Ok(0) => return Err(None),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return Ok(Stands::Waits);
                }
                Err(_) => return Err(None),
            }
        }
        // Who goes on and on does not listen.
        Err(None)
    }
}

impl Rules {
    /// Whose records he brings or gets who is not asked.
    fn admit_unasked(&self, session: &Session) -> Result<Arc<Served>, Failure> {
        let served = self.find(|_| true)?;
        if self.access.is_open() {
            return Ok(served);
        }
        let who = self.access.known(None, &session.names())?;
        self.access.permit(&who, served.way, &served.stream)?;
        Ok(served)
    }

    /// Whose records he brings or gets who says this.
    fn admit(&self, session: &Session, line: &[u8]) -> Result<Arc<Served>, Failure> {
        let Some(hello) = Hello::parse(line) else {
            let reason = "say `publish STREAM TOKEN` or `subscribe STREAM TOKEN`";
            return Err(Failure::new(Count::NoHello, reason));
        };
        let Hello { way, stream, token } = hello;
        if !self.access.is_open() {
            let who = self.access.known(token.as_deref(), &session.names())?;
            self.access.permit(&who, way, &stream)?;
        }
        self.find(|it| it.way == way && it.stream == stream)
    }

    /// A stream that goes on.
    fn find(&self, is_it: impl Fn(&Served) -> bool) -> Result<Arc<Served>, Failure> {
        let stopped = |it: &Served| it.state.stopped.load(Ordering::Acquire);
        let all = self.served.lock().ok();
        let found = all.and_then(|all| all.iter().find(|it| is_it(it) && !stopped(it)).cloned());
        found.ok_or_else(|| Failure::new(Count::NotPermitted, "there is no such stream here"))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let count = match refusal {
            Refusal::WrongToken => Count::WrongToken,
            Refusal::NothingShown => Count::NoToken,
            Refusal::Unknown { .. } | Refusal::NotPermitted { .. } => Count::NotPermitted,
        };
        Self::new(count, refusal.to_string())
    }
}
