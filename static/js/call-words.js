// @ts-check
/**
 * The words that are needed in a call only, so that the first page does not wait for them; `words.js` has all others,
 * and the manner. A catalogue in another language has the same keys.
 */

export const english = {
  'paused-title': 'Let’s pause for a moment. You can try again at {time}.',
  'paused-text': 'Stay here, and we’ll try for you.',
  'cooling-title': 'You can’t join conversations here until {time}.',
  'cooling-text': 'Several people have reported someone on your network: {category}.',
  'cooling-kind': 'It may not have been you. It passes by itself.',
  'category.sexual': 'sexual words',
  'category.hateful': 'hate or threats',
  'category.asking': 'asking for money or contact',
  'category.young': 'a child, it seems',
  'category.other': 'something else',
  'report': 'Report',
  'report-title': 'What was it?',
  'report-text': 'It ends the conversation, and you won’t meet them again. They aren’t told.',
  'report-close': 'Not now',

  'emoji.title': 'Six emoji',
  'emoji.how': 'To compare, one of you reads the first three aloud, the other the last three.',
  'emoji.what': 'What the six tell you',
  'emoji.same': 'If you both see the same six, your voices go to each other and nowhere else. If they differ, somebody may be listening in between: say nothing private, and end the call.',
  'emoji.limits': 'It protects those who compare. It doesn’t tell you who the other person is, and it trusts this page, which the same server has sent.',

  /** What each emoji is called, by number. */
  'emoji.names': [
    'Dog', 'Cat', 'Lion', 'Horse', 'Unicorn', 'Pig', 'Elephant', 'Rabbit',
    'Panda', 'Rooster', 'Penguin', 'Turtle', 'Fish', 'Octopus', 'Butterfly', 'Flower',
    'Tree', 'Cactus', 'Mushroom', 'Globe', 'Moon', 'Cloud', 'Fire', 'Banana',
    'Apple', 'Strawberry', 'Corn', 'Pizza', 'Cake', 'Heart', 'Smiley', 'Robot',
    'Hat', 'Glasses', 'Spanner', 'Santa', 'Thumbs Up', 'Umbrella', 'Hourglass', 'Clock',
    'Gift', 'Light Bulb', 'Book', 'Pencil', 'Paperclip', 'Scissors', 'Lock', 'Key',
    'Hammer', 'Telephone', 'Flag', 'Train', 'Bicycle', 'Aeroplane', 'Rocket', 'Trophy',
    'Ball', 'Guitar', 'Trumpet', 'Bell', 'Anchor', 'Headphones', 'Folder', 'Pin',
  ],
};
