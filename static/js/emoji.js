// @ts-check
/**
 * The sixty-four emoji of which six are compared, by their numbers in the list of the Matrix specification (Short
 * Authentication String, emoji): chosen there to be told apart, described in one word and not taken amiss.
 */

export const EMOJI = [
  '🐶', '🐱', '🦁', '🐎', '🦄', '🐷', '🐘', '🐰',
  '🐼', '🐓', '🐧', '🐢', '🐟', '🐙', '🦋', '🌷',
  '🌳', '🌵', '🍄', '🌏', '🌙', '☁️', '🔥', '🍌',
  '🍎', '🍓', '🌽', '🍕', '🎂', '❤️', '😀', '🤖',
  '🎩', '👓', '🔧', '🎅', '👍', '☂️', '⌛', '⏰',
  '🎁', '💡', '📕', '✏️', '📎', '✂️', '🔒', '🔑',
  '🔨', '☎️', '🏁', '🚂', '🚲', '✈️', '🚀', '🏆',
  '⚽', '🎸', '🎺', '🔔', '⚓', '🎧', '📁', '📌',
];
