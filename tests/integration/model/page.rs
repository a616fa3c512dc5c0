//! What a page does with what the server says: the protocol's other half, without a face.

use crate::signalling::description;
use sotto::protocol::{
    CallId, ClientMessage, EndReason, Languages, Port, ProblemCode, ResumeToken, Role, ServerMessage, Setup, Struggling,
};

/// What a page is about.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Closed for good.
    Gone,
    /// Nothing asked for.
    Idle,
    /// Has asked to be paired, or will as soon as there is a socket.
    Waiting,
    InCall(Call),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub call: CallId,
    pub offerer: bool,
    pub described: bool,
    pub answered: bool,
    pub connected: bool,
}

/// What a page wants done, or to be woken for.
#[derive(Debug)]
pub enum Wish {
    Send(ClientMessage),
    /// A call is to be connected, but not for ever.
    Matched(CallId),
    /// Describe itself, when the tab is looked at.
    Describe(CallId),
    /// Both descriptions are here: the line will be up, or not.
    Connect(CallId),
    /// A call has ended that had begun.
    Ended,
    /// Waiting has begun.
    Wait,
}

pub struct Page {
    pub state: State,
    pub languages: Languages,
    pub role: Role,
    pub avoid_recent: bool,
    pub struggling: Struggling,
    pub token: Option<ResumeToken>,
    /// Whether the socket has been welcomed.
    pub up: bool,
}

impl Page {
    pub fn join(&self) -> ClientMessage {
        let Self { languages, role, avoid_recent, struggling, .. } = self;
        ClientMessage::Join {
            languages: languages.clone(),
            role: *role,
            avoid_recent: *avoid_recent,
            struggling: *struggling,
            proof: None,
        }
    }

    pub fn call(&self) -> Option<&Call> {
        match &self.state {
            State::InCall(call) => Some(call),
            _ => None,
        }
    }

    /// This side's description and candidates, now that somebody looks at the tab.
    pub fn describe(&mut self, call: CallId) -> Vec<ClientMessage> {
        let State::InCall(own) = &mut self.state else { return Vec::new() };
        if own.call != call || own.described {
            return Vec::new();
        }
        own.described = true;
        let setup = if own.offerer { Setup::Actpass } else { Setup::Active };
        let candidate = |port| ClientMessage::Candidate { call, port: Port::new(port).expect("a port") };
        let description = ClientMessage::Describe { call, description: description(setup) };
        [description, candidate(50_000_u16), candidate(50_001)].into()
    }

    /// What follows from a frame.
    pub fn hear(&mut self, frame: ServerMessage) -> Vec<Wish> {
        match frame {
            ServerMessage::Welcome { call, resume } => {
                self.up = true;
                self.token = Some(resume);
                let mut wishes = Vec::new();
                if call.is_some() && call != self.call().map(|own| own.call) {
                    // Its match, or its end, was lost with the old socket.
                    wishes.push(Wish::Send(ClientMessage::Leave {}));
                }
                match &self.state {
                    State::Waiting => wishes.extend([Wish::Send(self.join()), Wish::Wait]),
                    State::InCall(own) if call != Some(own.call) => {
                        self.state = State::Idle;
                        wishes.push(Wish::Ended);
                    }
                    _ => {}
                }
                wishes
            }
            ServerMessage::Waiting { .. } => match self.call() {
                Some(call) if call.connected => panic!("waiting while in a call"),
                // What this page said before it knew of the match has ended it.
                Some(_) => {
                    self.state = State::Waiting;
                    vec![Wish::Wait]
                }
                None => Vec::new(),
            },
            ServerMessage::Matched { call, offerer, .. } => {
                if self.state != State::Waiting {
                    return vec![Wish::Send(ClientMessage::Leave {})];
                }
                self.state = State::InCall(Call { call, offerer, described: false, answered: false, connected: false });
                let describe = offerer.then_some(Wish::Describe(call));
                describe.into_iter().chain([Wish::Matched(call)]).collect()
            }
            ServerMessage::Describe { call, .. } => {
                let State::InCall(own) = &mut self.state else { return Vec::new() };
                if own.call != call {
                    return Vec::new();
                }
                assert!(!own.answered, "described twice");
                assert!(own.described == own.offerer, "not in its turn");
                own.answered = true;
                if own.offerer { vec![Wish::Connect(call)] } else { vec![Wish::Describe(call), Wish::Connect(call)] }
            }
            ServerMessage::Ended { call, why } => {
                let State::InCall(own) = &self.state else { return Vec::new() };
                if own.call != call {
                    return Vec::new();
                }
                if why == EndReason::Vanished {
                    self.state = State::Waiting;
                    return vec![Wish::Wait];
                }
                self.state = State::Idle;
                vec![Wish::Ended]
            }
            // The server had not noticed yet that the old socket was lost, and the wait, or a match since, goes on.
            ServerMessage::Problem { code: ProblemCode::AlreadyWaiting | ProblemCode::AlreadyInCall, .. } => Vec::new(),
            ServerMessage::Problem { code, text } => {
                panic!("a page that keeps to the protocol is told {code:?}: {text}")
            }
            _ => Vec::new(),
        }
    }
}
