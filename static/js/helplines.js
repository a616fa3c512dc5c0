// @ts-check
/**
 * Help lines by country. A module, so that they are here with the page and the network may be down. Gathered in
 * November 2026, mostly from secondary sources: `verified_on` stays null until a person has looked the line up
 * on its operator's own site, and until then the page says that numbers can change.
 */

/**
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

/** @type {readonly Helpline[]} */
export const HELPLINES = [
  { country: 'US', name: '988 Suicide & Crisis Lifeline', call: '988', text: '988', hours: '24/7', chat: true, verified_on: null },
  { country: 'CA', name: '9-8-8 Suicide Crisis Helpline', call: '988', text: '988', hours: '24/7', verified_on: null },
  { country: 'GB', name: 'Samaritans', call: '116 123', hours: '24/7', verified_on: null },
  { country: 'IE', name: 'Samaritans', call: '116 123', hours: '24/7', verified_on: null },
  { country: 'DE', name: 'TelefonSeelsorge', call: '0800 1110111', call_alternatives: ['0800 1110222', '116123'], hours: '24/7', chat: true, verified_on: null },
  { country: 'AT', name: 'Telefonseelsorge', call: '142', hours: '24/7', verified_on: null },
  { country: 'CH', name: 'Die Dargebotene Hand', call: '143', hours: '24/7', chat: true, verified_on: null },
  { country: 'FR', name: '3114 Numéro national de prévention du suicide', call: '3114', hours: '24/7', verified_on: null },
  { country: 'BE', name: 'Zelfmoordlijn', call: '1813', hours: '24/7', language: 'nl', verified_on: null },
  { country: 'NL', name: '113 Zelfmoordpreventie', call: '113', call_alternatives: ['0800 0113'], hours: '24/7', chat: true, verified_on: null },
  { country: 'ES', name: 'Línea 024', call: '024', hours: '24/7', verified_on: null },
  { country: 'PT', name: 'Linha Nacional de Prevenção do Suicídio', call: '1411', hours: '24/7', verified_on: null },
  { country: 'IT', name: 'Telefono Amico Italia', call: '02 2327 2327', whatsapp: '324 011 7252', hours: '10-24', verified_on: null },
  { country: 'PL', name: 'Centrum Wsparcia', call: '800 70 2222', hours: '24/7', chat: true, verified_on: null },
  { country: 'FI', name: 'MIELI Kriisipuhelin', call: '09 2525 0111', hours: '24/7', verified_on: null },
  { country: 'NO', name: 'Mental Helse', call: '116 123', hours: 'not known', verified_on: null },
  { country: 'BR', name: 'CVV', call: '188', hours: '24/7', chat: true, verified_on: null },
  { country: 'MX', name: 'Línea de la Vida', call: '800 911 2000', hours: '24/7', verified_on: null },
  { country: 'AU', name: 'Lifeline', call: '13 11 14', text: '0477 13 11 14', hours: '24/7', chat: true, verified_on: null },
  { country: 'NZ', name: '1737, Need to talk?', call: '1737', text: '1737', hours: '24/7', verified_on: null },
  { country: 'IN', name: 'Tele-MANAS', call: '14416', call_alternatives: ['1800 891 4416'], hours: '24/7', verified_on: null },
  { country: 'JP', name: 'Yorisoi Hotline', call: '0120-279-338', hours: '24/7', verified_on: null },
  { country: 'KR', name: '자살예방 상담전화', call: '109', hours: '24/7', verified_on: null },
  { country: 'SG', name: 'Samaritans of Singapore', call: '1767', whatsapp: '9151 1767', hours: '24/7', verified_on: null },
  { country: 'ZA', name: 'SADAG', call: '0800 21 22 23', call_alternatives: ['0800 12 13 14 (20-8)'], hours: '8-20', verified_on: null },
];
