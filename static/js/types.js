// @ts-check
/**
 * The shapes that pass between the modules, for the type check and the reader. Nothing imports this at run
 * time, so that no visitor has to load it.
 */

// The wire; `src/protocol.rs` says what each frame is for.

/**
 * @typedef {'talk' | 'listen' | 'either'} Role
 * @typedef {'sexual' | 'hateful' | 'asking' | 'young' | 'other'} Category
 * @typedef {'actpass' | 'active' | 'passive'} Setup
 * @typedef {{ ufrag: string, pwd: string, fingerprint: string, setup: Setup, payload_type: number }} Description
 * @typedef {{ challenge: string, target: string, most: number }} Puzzle
 * @typedef {{ challenge: string, number: number }} Proof
 * @typedef {{ host?: string, transports: Transport[], username: string, credential: string }} Relay
 * @typedef {'udp' | 'tcp' | 'tls'} Transport
 * @typedef {{ type: 'matched', call: string, side: 'a' | 'b', offerer: boolean, relay: Relay, text_line?: true }} Matched
 *
 * @typedef {{ type: 'hello', resume?: string }
 *   | { type: 'join', proof?: Proof } & Wishes
 *   | { type: 'hear_yourself' | 'leave' }
 *   | PartnerFrame
 *   | { type: 'report', call: string, category: Category }
 *   | { type: 'connected', call: string }} ClientFrame
 *
 * @typedef {{ type: 'describe', call: string, description: Description }
 *   | { type: 'candidate', call: string, port: number }
 *   | { type: 'restart', call: string, ufrag: string, pwd: string }} PartnerFrame
 *   What travels from page to page, unchanged.
 *
 * @typedef {{ type: 'welcome', resume: string, call?: string }
 *   | { type: 'waiting', usual?: Usual }
 *   | { type: 'slow_down', retry_after: number }
 *   | { type: 'work' } & Puzzle
 *   | { type: 'cool_down', retry_after: number, category: Category }
 *   | Matched
 *   | PartnerFrame
 *   | { type: 'ended', call: string, why: 'left' | 'lost' | 'vanished' }
 *   | { type: 'problem', code: string, text: string }
 *   | { type: 'closing', in: number }} ServerFrame
 */

// The machine.

/**
 * @typedef {'landing' | 'asking' | 'mic-problem' | 'waiting' | 'paused' | 'cooling' | 'offered' | 'connecting' | 'talking'
 *   | 'rejoining' | 'ended' | 'resting' | 'offline' | 'hearing' | 'heard'} Name
 * @typedef {'dismissed' | 'site' | 'system' | 'none' | 'busy' | 'ignored' | 'unsupported' | 'calls'} MicProblem
 * @typedef {'self' | 'left' | 'lost' | 'closing' | 'missed' | 'unverified' | 'reported' | 'told'} Ending
 * @typedef {{ languages: string[], role: Role, avoid_recent: boolean, struggling?: true }} Wishes
 * @typedef {'own' | 'deeper' | 'higher'} Voice what the partner is to hear
 * @typedef {'none' | 'few' | 'over' | 'asked' | 'on'} Minutes
 *   How the ten minutes stand: nobody has wished for them; they are meant to be few; they have gone by; this side would like
 *   to go on; both would.
 * @typedef {'prompt' | 'quiet' | 'unreachable' | 'offer' | 'connecting' | 'weak' | 'rejoining' | 'restart' | 'fetch' | 'pause' | 'hearing' | 'report'} Timer
 * @typedef {{ microphone: 'fine' | 'silent' | 'unknown', sound: 'fine' | 'none' | 'unheard' | 'unknown', line: 'fine' | 'thin' | 'tcp' | 'none' }} Found
 *   What somebody who hears themself is told; `verdict.js` says what each means.
 */

/**
 * @typedef {object} State
 * @property {Name} name what the page shows
 * @property {Wishes} wishes
 * @property {boolean} short whether the visitor would like to talk for ten minutes; never sent to the server
 * @property {boolean} up whether the server has welcomed this socket
 * @property {boolean} ready whether the scripts of a call are here
 * @property {boolean} hidden whether the tab is out of sight
 * @property {boolean} long whether the wait has been long
 * @property {Usual | null} usual how it usually is at this hour, as far as the server has seen
 * @property {boolean} puzzled whether what the server asks for before one may wait takes a while
 * @property {number} pause for how many milliseconds the server asked not to be asked; 0 where it did not
 * @property {Category | null} category what was reported, where this visitor has to stay away
 * @property {string | null} past the call that has just ended and can still be reported
 * @property {boolean} closing whether the server said that it is about to stop
 * @property {'waiting' | 'ended' | 'hearing'} back where `offline` goes on when the server is back
 * @property {MicProblem | null} problem
 * @property {Matched | null} match the call, from the match until its end
 * @property {boolean} forgotten whether the server has been started anew since, and knows nothing of the call
 * @property {PartnerFrame[]} held what the partner sent before this side said hello
 * @property {boolean} described whether this side's description is out
 * @property {boolean} answered whether the partner's description is here
 * @property {boolean} muted
 * @property {boolean} breath whether the visitor takes a breath: while one of the two does, neither is heard
 * @property {boolean} theirs whether the partner does
 * @property {Minutes} minutes how the ten minutes stand, where one of the two has wished for them
 * @property {boolean} typing whether the text line is open in front of the visitor
 * @property {boolean} unread whether the partner has typed while it was not
 * @property {readonly Line[]} lines the last of what was typed in this call
 * @property {readonly Opener[]} openers what one may say, as it was asked for in this call; the last one is to be seen
 * @property {boolean} padded whether what is sent has one size, which hides when somebody speaks
 * @property {Voice} voice chosen for every call until the page is left; never stored
 * @property {boolean} unheard whether another voice was chosen and does not go out
 * @property {Ending | null} ending
 * @property {boolean} alone whether the microphone is asked for to hear oneself
 * @property {boolean} sounding whether one's own voice is on its way back
 * @property {Found | null} found what is known so far of microphone, sound and line; nothing where it could not be tried
 */

/**
 * @typedef {'soon' | 'minutes' | 'quiet'} Usual how waits usually end at this hour
 * @typedef {[from: number, to: number]} Opening when people come here, in seconds since the Unix epoch
 */

/** @typedef {{ who: Who, text: string }} Line what one of the two has typed */
/** @typedef {Extract<Word, `opener.${number}`>} Opener */

/**
 * @typedef {{ type: 'start', wishes: Wishes, agreed: boolean, short: boolean }
 *   | { type: 'hear-yourself' | 'done' }
 *   | { type: 'found', found: Found }
 *   | { type: 'retry' | 'stop' | 'accept' | 'decline' | 'mute' | 'end' | 'again' | 'rest' | 'vanish' | 'own-voice' | 'try-voice' | 'breath' | 'go-on' }
 *   | { type: 'typing', open: boolean }
 *   | { type: 'type', text: string }
 *   | { type: 'opener', chance: number }
 *   | { type: 'voice', voice: Voice }
 *   | { type: 'granted' | 'devices' | 'doubt' | 'checked' }
 *   | { type: 'tell', category: Category }
 *   | { type: 'refused', problem: MicProblem }
 *   | { type: 'frame', frame: ServerFrame }
 *   | { type: 'down' }
 *   | { type: 'ready' | 'missing' }
 *   | { type: 'solved', proof: Proof }
 *   | { type: 'puzzled' | 'unsolved' }
 *   | { type: 'broken', call: string }
 *   | { type: 'shaped', padded: boolean }
 *   | { type: 'described', description: Description }
 *   | { type: 'gathered', port: number }
 *   | { type: 'renewed', ufrag: string, pwd: string }
 *   | { type: 'connected' | 'weak' | 'failed' | 'bye' | 'unverified' }
 *   | { type: 'line', line: Line }
 *   | { type: 'their-breath', on: boolean }
 *   | { type: 'minutes', minutes: Minutes }
 *   | { type: 'disguised', ok: boolean }
 *   | { type: 'hidden' | 'visible' | 'online' | 'pagehide' }
 *   | { type: 'timeout', timer: Timer }} Event
 *   From the visitor; the microphone; the socket; the scripts of a call, and the worker that solves puzzles; the call; the browser; the clock.
 *
 * @typedef {{ do: 'unlock' | 'fetch' | 'ask' | 'release' | 'connect' | 'hurry' | 'renew' | 'disconnect'
 *     | 'restart' | 'goOn' | 'summon' | 'dismiss' | 'vanish' | 'askToAgree' | 'stopTimers' }
 *   | { do: 'send', frame: ClientFrame }
 *   | { do: 'check', aloud?: boolean }
 *   | { do: 'begin', match: Matched, voice: Voice, muted: boolean, short: boolean, alone?: boolean }
 *   | { do: 'pass', frame: PartnerFrame }
 *   | { do: 'hangUp', bye: boolean, atOnce?: true }
 *   | { do: 'mute' | 'hold' | 'breathe', on: boolean }
 *   | { do: 'type', text: string }
 *   | { do: 'solve', puzzle: Puzzle }
 *   | { do: 'speakAs', voice: Voice }
 *   | { do: 'wake', on: boolean }
 *   | { do: 'say', word: 'waiting.title' | 'waiting.long' | 'waiting.puzzle' | 'muted' | 'unmuted' | 'type.unread' | 'voice.unheard' | 'hear.title' | 'breath.over' | 'minutes.few' | 'minutes.asked' | 'minutes.on' | Opener }
 *   | { do: 'say', word: 'breath.mine' | 'breath.theirs' | 'minutes.over', then: 'breath.mine.text' | 'breath.theirs.text' | 'minutes.over.text' }
 *   | { do: 'startTimer', timer: Timer, ms: number }
 *   | { do: 'stopTimer', timer: Timer }} Effect
 *
 * @typedef {{ state: State, effects: Effect[] }} Step
 * @typedef {Event['type']} EventType
 */

/**
 * What one state does with what comes.
 *
 * @template {EventType} T
 * @typedef {Extract<Event, { type: T }>} Of
 */

/** @typedef {{ [T in EventType]?: (state: State, event: Of<T>) => Step }} Row */
/** @typedef {{ [T in ServerFrame['type']]?: (state: State, frame: Extract<ServerFrame, { type: T }>) => Step }} FrameRow */
/** @typedef {{ events: { [name in Name]?: Row }, frames: { [name in Name]?: FrameRow } }} Rows some states and what they do */

// What the parts tell each other.

/**
 * @typedef {object} Surroundings
 * @property {(url: string) => WebSocket} socket
 * @property {(run: () => void, ms: number) => number} setTimer
 * @property {(timer: number) => void} clearTimer
 * @property {() => number} random from 0 to 1
 */

/** @typedef {Pick<Surroundings, 'setTimer' | 'clearTimer'> & { now: () => number }} Clock in milliseconds */

/**
 * @typedef {object} ConnectionHandlers
 * @property {(frame: ServerFrame) => void} onFrame every frame, `welcome` included
 * @property {() => void} onDown the socket is gone, or could not be opened; another attempt is under way
 */

/**
 * @typedef {object} CallHandlers
 * @property {(description: Description) => void} onDescribed this side's description, once
 * @property {(credentials: { ufrag: string, pwd: string }) => void} onRenewed this side's after an ICE restart
 * @property {(port: number) => void} onGathered one of this side's candidates
 * @property {(padded: boolean) => void} onShaped whether what is sent has one size, before the first packet
 * @property {(stream: MediaStream) => void} onStream the partner's voice
 * @property {() => void} onConnected the line is up, for the first time or again
 * @property {() => void} onWeak nothing has come for a moment
 * @property {() => void} onFailed the line is down for good, unless it is made anew
 * @property {() => void} onBye the partner has left
 * @property {(on: boolean) => void} onBreath whether the partner takes a breath, at every change
 * @property {(minutes: Minutes) => void} onMinutes how the ten minutes stand, at every change
 * @property {(who: Who, text: string) => void} onLine one of the two has typed this; only where they may
 * @property {(emoji: number[]) => void} onEmoji the six to compare, once
 * @property {() => void} onUnverified there are none, or a certificate has changed: somebody may have come between
 */

/**
 * @typedef {object} SolverHandlers
 * @property {(proof: Proof) => void} onSolved
 * @property {() => void} onLong it takes more than a moment
 * @property {() => void} onFailed it cannot be solved here
 */

/**
 * @typedef {'fingerprint' | 'certificate' | 'length' | 'kind' | 'order' | 'echo' | 'commitment' | 'late' | 'crypto'} SasFailure
 *   What was wrong with a run of the six emoji; for the console and the tests, it is all one to the visitor.
 */

/**
 * @typedef {object} SasHandlers
 * @property {(bytes: Uint8Array<ArrayBuffer>) => void} onSend a frame for the partner
 * @property {(emoji: number[]) => void} onEmoji six numbers below 64
 * @property {(failure: SasFailure) => void} onFailed at most once, and it can come after the emoji
 */

/**
 * @typedef {object} ChannelHandlers
 * @property {() => void} onOpen
 * @property {(bytes: Uint8Array<ArrayBuffer>) => void} onBytes the first says what they are
 * @property {() => void} onBye the partner has left
 */

/**
 * @typedef {object} MicrophoneHandlers
 * @property {() => void} onGranted it is here
 * @property {(problem: MicProblem) => void} onRefused it is not, and why
 * @property {(track: MediaStreamTrack) => void} onTrack a live one has taken the place of a dead one
 * @property {() => void} onDoubt something happened after which a microphone can be live and yet silent
 */

/**
 * @typedef {object} WorkletScope what a worklet's script finds around it
 * @property {new () => { port: MessagePort }} AudioWorkletProcessor
 * @property {(name: string, processor: new (options: { processorOptions: { ratio: number } }) => Processor) => void} registerProcessor
 * @property {number} sampleRate in hertz
 */

/** @typedef {{ process: (inputs: Float32Array[][], outputs: Float32Array[][]) => boolean }} Processor */

/** @typedef {'me' | 'them'} Who whose voice, whose lamp */

/** @typedef {{ render: (state: State) => void }} Part a part of the page that draws itself */

/**
 * @typedef {object} Preferences
 * @property {boolean} still
 * @property {boolean} muteKey
 * @property {boolean} vanishKey
 * @property {string[] | null} languages to talk in, once chosen
 * @property {string | null} page the language the page is read in, once chosen
 */

/**
 * One of `helplines.json`. Gathered in November 2026, mostly from secondary sources: `verified_on` stays null until a
 * person has looked the line up on its operator's own site, and until then the page says that numbers can change.
 * @typedef {object} Helpline
 * @property {string} country ISO 3166-1
 * @property {string} name as it calls itself
 * @property {string} call
 * @property {string[]} [call_alternatives]
 * @property {string} [text] a number for text messages
 * @property {string} [whatsapp]
 * @property {string} hours `24/7`, `from-to` in hours, or `not known`
 * @property {string} [language] where it is not every language of the country
 * @property {boolean} [chat] on the line's website
 * @property {string | null} verified_on
 */

/**
 * A number of things: one text for each category of the language's plural rules (Unicode TR 35), by `values.count`.
 * @typedef {Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }} Counted
 */
/**
 * A catalogue with the keys and kinds of the English one.
 * @template {Record<string, unknown>} English
 * @typedef {{ [key in keyof English]: English[key] extends string ? string : Counted }} Like
 */
/** @typedef {Like<typeof import('./words/en.js').words>} Landing */
/** @typedef {Like<typeof import('./words/en-call.js').words>} Calling */
/** @typedef {keyof Landing | keyof Calling} Word */
/** @typedef {Record<string, string | number>} Values */
/** @typedef {{ words: Record<string, string | Counted>, emoji?: readonly string[] }} Catalogue */

export {};
