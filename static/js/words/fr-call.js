// @ts-check
/** French, with « vous »: what only a conversation and its end say. */

/** @type {import('../words.js').Calling} */
export const words = {
  'you': 'Vous',
  'them': 'L’autre personne',

  'mic.calls.title': 'Ce navigateur ne peut pas passer d’appel ici.',
  'mic.calls.text': 'Un réglage ou une extension a peut-être désactivé les appels (WebRTC). Un autre navigateur conviendra peut-être.',

  'offered.title': 'Quelqu’un est là. C’est le bon moment ?',
  'offered.accept': 'Dire bonjour',
  'offered.decline': 'Pas maintenant',
  'offered.tab': 'Quelqu’un est là',

  'connecting.title': 'Quelqu’un est là. Un instant.',
  'talking.title': 'Un bonjour suffit. Le silence aussi.',
  'rejoining.title': 'La ligne est fragile. Nous la tenons.',
  'mute': 'Couper le micro',
  'muted': 'L’autre personne ne vous entend pas en ce moment.',
  'unmuted': 'L’autre personne vous entend de nouveau.',
  'end': 'Terminer',

  'ended.self': 'Vous avez quitté la conversation. Merci d’avoir été là.',
  'ended.left': 'La conversation est terminée. On part pour toutes sortes de raisons.',
  'ended.lost': 'Nous avons perdu la ligne, sans pouvoir dire pourquoi.',
  'ended.closing': 'Sotto ferme un moment, et la ligne est partie avec.',
  'ended.missed': 'Quelqu’un était là pendant votre absence. Cela arrive, et quelqu’un d’autre viendra peut-être.',
  'again': 'Trouver quelqu’un d’autre',
  'rest': 'C’est assez pour l’instant',

  'resting.title': 'C’est assez pour l’instant.',
  'resting.text': 'Vous pouvez fermer cette page. Il n’en reste rien, et vous pouvez revenir quand vous voulez.',
  'resting.again': 'Trouver quelqu’un à qui parler',
  'emoji.title': 'Six émojis',
  'emoji.how': 'Pour comparer, une personne lit les trois premiers à voix haute, l’autre les trois derniers.',
  'emoji.what': 'Ce que les six vous disent',
  'emoji.same': 'Si les six sont les mêmes de part et d’autre, vos voix vont de l’un à l’autre et nulle part ailleurs. S’ils diffèrent, quelqu’un écoute peut-être entre vous : ne dites rien de privé et terminez la conversation.',
  'emoji.limits': 'Cela protège quand on compare. Cela ne vous dit pas qui est l’autre personne, et se fie à cette page, que le même serveur a envoyée.',
  'ended.unverified': 'Nous avons mis fin à la conversation, par précaution.',
  'ended.unverified.text': 'La ligne avait un défaut, ou quelqu’un a voulu se mettre entre vous deux. Nous ne pouvons pas dire ce qu’il en est. Vous pouvez chercher quelqu’un d’autre ; si cela se reproduit, essayez un autre réseau.',
  'voice.unheard': 'Le changement de voix ne marche pas, alors l’autre personne ne vous entend pas pour l’instant.',
  'voice.try': 'Réessayer',
  'voice.use-own': 'Prendre ma propre voix',
  'type': 'Écrire plutôt',
  'type.unread': 'L’autre personne a écrit quelque chose.',
  'type.log': 'Ce que vous vous êtes écrit',
  'type.line': 'Une ligne à l’autre personne',
  'type.send': 'Envoyer',
  'type.me': 'Vous :',
  'type.them': 'L’autre personne :',
  'type.gone': 'Il n’y a que vous deux pour le lire. Cela disparaît avec l’appel.',
  'unpadded': 'Ce navigateur ne peut pas cacher au réseau quand quelqu’un parle. Ce qui est dit reste caché.',
};

export const emoji = [
  'Chien', 'Chat', 'Lion', 'Cheval', 'Licorne', 'Cochon', 'Éléphant', 'Lapin',
  'Panda', 'Coq', 'Pingouin', 'Tortue', 'Poisson', 'Poulpe', 'Papillon', 'Fleur',
  'Arbre', 'Cactus', 'Champignon', 'Globe', 'Lune', 'Nuage', 'Feu', 'Banane',
  'Pomme', 'Fraise', 'Maïs', 'Pizza', 'Gâteau', 'Cœur', 'Sourire', 'Robot',
  'Chapeau', 'Lunettes', 'Clé à molette', 'Père Noël', 'Pouce en l’air', 'Parapluie', 'Sablier', 'Réveil',
  'Cadeau', 'Ampoule', 'Livre', 'Crayon', 'Trombone', 'Ciseaux', 'Cadenas', 'Clé',
  'Marteau', 'Téléphone', 'Drapeau', 'Train', 'Vélo', 'Avion', 'Fusée', 'Trophée',
  'Ballon', 'Guitare', 'Trompette', 'Cloche', 'Ancre', 'Casque audio', 'Dossier', 'Punaise',
];
