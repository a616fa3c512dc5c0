// @ts-check
/**
 * Every word of the page. Short sentences; no exclamation marks, no blame, no counters, and nothing that
 * pretends to know what it cannot. Both sides of an ending read the same.
 *
 * `index.html` carries the English words too, so that they are there before the scripts are; a test keeps
 * the two the same. A catalogue in another language has the same keys.
 */

export const english = {
  'lang': 'en',
  'dir': 'ltr',
  'name': 'Sotto',

  'help': 'Need help now?',
  'you': 'You',
  'them': 'Them',

  'landing.title': 'Talk with someone, one to one.',
  'landing.terms': 'No name, no account. You can leave at any time.',
  'landing.start': 'Find someone to talk to',
  'landing.stranger': 'The other person is a stranger, not a counsellor.',
  'landing.next': 'What will happen',
  'landing.next.1': 'Your browser asks for the microphone.',
  'landing.next.2': 'We look for one person who shares a language with you.',
  'landing.next.3': 'You hear each other, until one of you leaves. Nothing is recorded.',
  'privacy': 'What others can see, and what they cannot',

  'wishes': 'Languages and wishes',
  'wishes.languages': 'I can talk in',
  'wishes.add': 'Add a language',
  'wishes.choose': 'Choose…',
  'wishes.one': 'One language has to stay.',
  'wishes.role': 'I would rather',
  'wishes.talk': 'talk',
  'wishes.listen': 'listen',
  'wishes.either': 'either is fine',
  'wishes.again': 'Meeting again',
  'wishes.same': 'The same person again is fine, if they say so too',
  'keys': 'Keys',
  'keys.mute': 'M mutes and unmutes',
  'keys.vanish': 'Shift three times leaves at once',

  'asking.title': 'Your browser is asking for the microphone.',
  'asking.text': 'If you allow it, we look for someone. If not, nothing happens.',
  'asking.stop': 'Not now',

  'mic.retry': 'Try again',
  'mic.back': 'Back',
  'mic.dismissed.title': 'We don’t have the microphone yet.',
  'mic.dismissed.text': 'That’s fine. If it was by accident, try again and choose Allow.',
  'mic.site.title': 'The microphone is blocked for this site.',
  'mic.site.text': 'Open the icon beside the address, set Microphone to Allow, then come back and try again.',
  'mic.system.title': 'Your device doesn’t let the browser use the microphone.',
  'mic.system.text': 'Open the privacy settings of your device, allow the microphone for this browser, then try again.',
  'mic.none.title': 'We can’t find a microphone.',
  'mic.none.text': 'Plug one in or switch it on. We notice by ourselves.',
  'mic.busy.title': 'Another app is using the microphone.',
  'mic.busy.text': 'Close the other call or recording, then try again.',
  'mic.ignored.title': 'Your browser is still waiting for your answer.',
  'mic.ignored.text': 'Its question is near the address, at the top or bottom of the window. There’s no hurry.',
  'mic.unsupported.title': 'This browser can’t use a microphone here.',
  'mic.unsupported.text': 'The address has to begin with https, in a current browser.',
  'mic.calls.title': 'This browser can’t make a call here.',
  'mic.calls.text': 'A setting or an extension may have switched calls (WebRTC) off. Another browser may do.',

  'waiting.title': 'You’re here. We’ll let you know when someone joins.',
  'waiting.long': 'Nobody’s here just yet. It’s quiet, and that isn’t about you. You can wait, or come back.',
  'waiting.still': 'Still the motion',
  'waiting.stop': 'Stop waiting',


  'offered.title': 'Someone’s here. Ready?',
  'offered.accept': 'Say hello',
  'offered.decline': 'Not now',

  'connecting.title': 'Someone’s here. One moment.',
  'talking.title': 'Hello is enough. So is silence.',
  'rejoining.title': 'The line is thin. Holding on.',
  'mute': 'Mute',
  'muted': 'They can’t hear you right now.',
  'unmuted': 'They can hear you again.',
  'unpadded': 'This browser can’t hide from a network when somebody speaks. What is said stays hidden.',
  'end': 'End',

  'type': 'Type instead',
  'type.unread': 'They have typed something.',
  'type.log': 'What the two of you have typed',
  'type.line': 'A line to them',
  'type.send': 'Send',
  'type.me': 'You:',
  'type.them': 'Them:',
  'type.gone': 'Only the two of you can read it. It is gone with the call.',

  'ended.self': 'You’ve left. Thank you for being here.',
  'ended.left': 'The conversation has ended. People leave for all kinds of reasons.',
  'ended.lost': 'We lost the line, and can’t tell why.',
  'ended.closing': 'Sotto is closing for a moment, and the line went with it.',
  'ended.reported': 'You’ve left. Thank you for telling us.',
  'ended.unverified': 'We ended the conversation, to be on the safe side.',
  'ended.unverified.text': 'The line was faulty, or somebody tried to come between the two of you. We can’t tell which. You can look for someone else; if it happens again, try another network.',
  'ended.missed': 'Someone was here while you were away. That happens, and someone else may come.',
  'again': 'Find someone else',
  'rest': 'That’s enough for now',

  'resting.title': 'That’s enough for now.',
  'resting.text': 'You can close this page. Nothing stays behind, and you can come back whenever you like.',
  'resting.again': 'Find someone to talk to',

  'offline.title': 'We can’t reach Sotto just now.',
  'offline.closing': 'Sotto is closing for a moment.',
  'offline.text': 'We keep trying. As soon as it is back, so are you.',
  'offline.retry': 'Try now',
  'offline.stop': 'Leave it for now',

  'help.title': 'Help, now',
  'help.stranger': 'Whoever you meet here is a stranger, and not a crisis service. If you are in danger, call your emergency number. The people on these lines are there to listen.',
  'help.country': 'Country',
  'help.call': 'Call',
  'help.or': 'or',
  'help.text': 'Text',
  'help.whatsapp': 'WhatsApp',
  'help.chat': 'Chat on their website',
  'help.always': 'Day and night',
  'help.hours': '{from} to {to} o’clock',
  'help.unknown': 'Hours not known to us',
  'help.language': 'In {language}',
  'help.change': 'Numbers can change. We have not called this one ourselves.',
  'help.checked': 'Looked up on {date}. Numbers can change.',
  'help.elsewhere': 'Another country',
  'help.elsewhere.text': 'We don’t know a line there. Your emergency number, a doctor or a hospital can tell you who listens.',
  'help.close': 'Close',

  'offered.tab': 'Someone’s here',
};

/** @typedef {keyof typeof english} Word */
/** @typedef {Record<Word, string>} Catalogue */

/**
 * @param {Catalogue} catalogue
 * @returns {(word: Word, values?: Record<string, string>) => string}
 */
export const speaker = (catalogue) => (word, values = {}) =>
  catalogue[word].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
