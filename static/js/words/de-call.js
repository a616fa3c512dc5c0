// @ts-check
/** German, with „du“: what only a conversation and its end say. */

/** @type {import('../words.js').Calling} */
export const words = {
  'you': 'Du',
  'them': 'Gegenüber',

  'mic.calls.title': 'Dieser Browser kann hier kein Gespräch führen.',
  'mic.calls.text': 'Vielleicht hat eine Einstellung oder Erweiterung Anrufe (WebRTC) abgeschaltet. Mit einem anderen Browser könnte es gehen.',

  'offered.title': 'Jemand ist da. Bereit?',
  'offered.accept': 'Hallo sagen',
  'offered.decline': 'Jetzt nicht',
  'offered.tab': 'Jemand ist da',

  'connecting.title': 'Jemand ist da. Einen Moment.',
  'talking.title': 'Ein Hallo genügt. Schweigen auch.',
  'rejoining.title': 'Die Leitung ist dünn. Wir halten sie.',
  'mute': 'Stumm',
  'muted': 'Du bist gerade nicht zu hören.',
  'unmuted': 'Du bist wieder zu hören.',
  'end': 'Beenden',

  'ended.self': 'Du bist gegangen. Danke, dass du da warst.',
  'ended.left': 'Das Gespräch ist zu Ende. Menschen gehen aus den verschiedensten Gründen.',
  'ended.lost': 'Die Leitung ist abgerissen, und wir können nicht sagen, warum.',
  'ended.closing': 'Sotto macht für einen Moment zu, und die Leitung ging mit.',
  'ended.missed': 'Jemand war da, während du weg warst. Das kommt vor, und vielleicht kommt jemand anderes.',
  'again': 'Jemand anderen finden',
  'rest': 'Das genügt für jetzt',

  'resting.title': 'Das genügt für jetzt.',
  'resting.text': 'Du kannst diese Seite schließen. Nichts bleibt zurück, und du kannst wiederkommen, wann immer du magst.',
  'resting.again': 'Jemanden zum Reden finden',
  'emoji.title': 'Sechs Emoji',
  'emoji.how': 'Zum Vergleichen liest die eine Person die ersten drei vor, die andere die letzten drei.',
  'emoji.what': 'Was die sechs dir sagen',
  'emoji.same': 'Wenn ihr beide dieselben sechs seht, gehen eure Stimmen zueinander und sonst nirgendwohin. Wenn sie verschieden sind, hört vielleicht jemand dazwischen mit: Sag nichts Privates und beende das Gespräch.',
  'emoji.limits': 'Das schützt alle, die vergleichen. Es sagt dir nicht, wer die andere Person ist, und es verlässt sich auf diese Seite, die derselbe Server geschickt hat.',
  'ended.unverified': 'Wir haben das Gespräch beendet, um sicherzugehen.',
  'ended.unverified.text': 'Die Leitung war gestört, oder jemand wollte sich zwischen euch stellen. Was davon, können wir nicht sagen. Du kannst jemand anderen suchen; wenn es wieder geschieht, versuch es in einem anderen Netz.',
  'voice.unheard': 'Die veränderte Stimme geht gerade nicht, darum bist du nicht zu hören.',
  'voice.try': 'Noch einmal versuchen',
  'voice.use-own': 'Meine eigene Stimme nehmen',
  'type': 'Lieber schreiben',
  'type.unread': 'Dein Gegenüber hat etwas geschrieben.',
  'type.log': 'Was ihr beide geschrieben habt',
  'type.line': 'Eine Zeile an dein Gegenüber',
  'type.send': 'Senden',
  'type.me': 'Du:',
  'type.them': 'Gegenüber:',
  'type.gone': 'Nur ihr beide könnt es lesen. Mit dem Gespräch ist es weg.',
  'unpadded': 'Dieser Browser kann vor dem Netz nicht verbergen, wann jemand spricht. Was gesagt wird, bleibt verborgen.',
};

export const emoji = [
  'Hund', 'Katze', 'Löwe', 'Pferd', 'Einhorn', 'Schwein', 'Elefant', 'Hase',
  'Panda', 'Hahn', 'Pinguin', 'Schildkröte', 'Fisch', 'Oktopus', 'Schmetterling', 'Blume',
  'Baum', 'Kaktus', 'Pilz', 'Globus', 'Mond', 'Wolke', 'Feuer', 'Banane',
  'Apfel', 'Erdbeere', 'Mais', 'Pizza', 'Kuchen', 'Herz', 'Lächeln', 'Roboter',
  'Hut', 'Brille', 'Schraubenschlüssel', 'Weihnachtsmann', 'Daumen hoch', 'Regenschirm', 'Sanduhr', 'Wecker',
  'Geschenk', 'Glühbirne', 'Buch', 'Bleistift', 'Büroklammer', 'Schere', 'Schloss', 'Schlüssel',
  'Hammer', 'Telefon', 'Flagge', 'Zug', 'Fahrrad', 'Flugzeug', 'Rakete', 'Pokal',
  'Ball', 'Gitarre', 'Trompete', 'Glocke', 'Anker', 'Kopfhörer', 'Ordner', 'Stecknadel',
];
