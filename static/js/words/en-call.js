// @ts-check
/** English: what only a conversation and its end say. */

export const words = {
  'you': 'You',
  'them': 'Them',

  'mic.calls.title': 'This browser can’t make a call here.',
  'mic.calls.text': 'A setting or an extension may have switched calls (WebRTC) off. Another browser may do.',

  'offered.title': 'Someone’s here. Ready?',
  'offered.accept': 'Say hello',
  'offered.decline': 'Not now',
  'offered.tab': 'Someone’s here',

  'connecting.title': 'Someone’s here. One moment.',
  'talking.title': 'Hello is enough. So is silence.',
  'rejoining.title': 'The line is thin. Holding on.',
  'mute': 'Mute',
  'muted': 'They can’t hear you right now.',
  'unmuted': 'They can hear you again.',
  'end': 'End',

  'ended.self': 'You’ve left. Thank you for being here.',
  'ended.left': 'The conversation has ended. People leave for all kinds of reasons.',
  'ended.lost': 'We lost the line, and can’t tell why.',
  'ended.closing': 'Sotto is closing for a moment, and the line went with it.',
  'ended.missed': 'Someone was here while you were away. That happens, and someone else may come.',
  'again': 'Find someone else',
  'rest': 'That’s enough for now',

  'resting.title': 'That’s enough for now.',
  'resting.text': 'You can close this page. Nothing stays behind, and you can come back whenever you like.',
  'resting.again': 'Find someone to talk to',
  'emoji.title': 'Six emoji',
  'emoji.how': 'To compare, one of you reads the first three aloud, the other the last three.',
  'emoji.what': 'What the six tell you',
  'emoji.same': 'If you both see the same six, your voices go to each other and nowhere else. If they differ, somebody may be listening in between: say nothing private, and end the call.',
  'emoji.limits': 'It protects those who compare. It doesn’t tell you who the other person is, and it trusts this page, which the same server has sent.',
  'ended.unverified': 'We ended the conversation, to be on the safe side.',
  'ended.unverified.text': 'The line was faulty, or somebody tried to come between the two of you. We can’t tell which. You can look for someone else; if it happens again, try another network.',
  'voice.unheard': 'Your changed voice isn’t working, so they can’t hear you now.',
  'voice.try': 'Try again',
  'voice.use-own': 'Use my own voice',
  'type': 'Type instead',
  'type.unread': 'They have typed something.',
  'type.log': 'What the two of you have typed',
  'type.line': 'A line to them',
  'type.send': 'Send',
  'type.me': 'You:',
  'type.them': 'Them:',
  'type.gone': 'Only the two of you can read it. It is gone with the call.',
  'unpadded': 'This browser can’t hide from a network when somebody speaks. What is said stays hidden.',
  'ended.reported': 'You’ve left. Thank you for telling us.',
  'paused.title': 'Let’s pause for a moment. You can try again at {time}.',
  'paused.text': 'Stay here, and we’ll try for you.',
  'cooling.title': 'You can’t join conversations here until {time}.',
  'cooling.text': 'Several people have reported someone on your network: {category}.',
  'cooling.kind': 'It may not have been you. It passes by itself.',
  'category.sexual': 'sexual words',
  'category.hateful': 'hate or threats',
  'category.asking': 'asking for money or contact',
  'category.young': 'a child, it seems',
  'category.other': 'something else',
  'report': 'Report',
  'report.title': 'What was it?',
  'report.text': 'It ends the conversation, and keeps the two of you apart for at least a day. They aren’t told that it was you.',
  'report.close': 'Not now',
};

/**
 * The 64 emoji of a short authentication string, in Matrix's order and with its names (matrix-spec,
 * data-definitions/sas-emoji.json, Apache-2.0); in other languages a few are plainer, or easier to tell apart.
 */
export const emoji = [
  'Dog', 'Cat', 'Lion', 'Horse', 'Unicorn', 'Pig', 'Elephant', 'Rabbit',
  'Panda', 'Rooster', 'Penguin', 'Turtle', 'Fish', 'Octopus', 'Butterfly', 'Flower',
  'Tree', 'Cactus', 'Mushroom', 'Globe', 'Moon', 'Cloud', 'Fire', 'Banana',
  'Apple', 'Strawberry', 'Corn', 'Pizza', 'Cake', 'Heart', 'Smiley', 'Robot',
  'Hat', 'Glasses', 'Spanner', 'Santa', 'Thumbs Up', 'Umbrella', 'Hourglass', 'Clock',
  'Gift', 'Light Bulb', 'Book', 'Pencil', 'Paperclip', 'Scissors', 'Lock', 'Key',
  'Hammer', 'Telephone', 'Flag', 'Train', 'Bicycle', 'Aeroplane', 'Rocket', 'Trophy',
  'Ball', 'Guitar', 'Trumpet', 'Bell', 'Anchor', 'Headphones', 'Folder', 'Pin',
];
