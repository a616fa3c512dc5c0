// @ts-check
/**
 * French: what the first page and the wait say. With « vous », as the lines that listen at night have it: to be called
 * « tu » by a page that one does not know can be too near, and the warmth is in what is said. Nothing that would need
 * to know whether a visitor is a man or a woman.
 */

/** @type {import('../words.js').Landing} */
export const words = {
  'dir': 'ltr',
  'name': 'Sotto',

  'help': 'Besoin d’aide maintenant ?',
  'page.language': 'Langue de cette page',

  'landing.title': 'Parler avec quelqu’un, en tête-à-tête.',
  'landing.terms': 'Sans nom, sans compte. Vous pouvez partir à tout moment.',
  'landing.start': 'Trouver quelqu’un à qui parler',
  'landing.stranger': 'Vous ne connaissez pas l’autre personne, et elle n’est pas thérapeute.',
  'landing.next': 'Ce qui va se passer',
  'landing.next.1': 'Votre navigateur demande l’accès au micro.',
  'landing.next.2': 'Nous cherchons une personne qui partage une langue avec vous.',
  'landing.next.3': 'Vous entendez l’autre personne et elle vous entend, jusqu’à ce que quelqu’un parte. Rien n’est enregistré.',
  'privacy': 'Ce que les autres peuvent voir et ce qu’ils ne peuvent pas voir (en anglais)',

  'wishes': 'Langues et souhaits',
  'wishes.languages': 'Je peux parler en',
  'wishes.add': 'Ajouter une langue',
  'wishes.choose': 'Choisir…',
  'wishes.one': 'Il faut garder une langue.',
  'wishes.count': { one: 'Vous pouvez parler dans {count} langue.', other: 'Vous pouvez parler dans {count} langues.' },
  'wishes.role': 'J’aimerais plutôt',
  'wishes.talk': 'parler',
  'wishes.listen': 'écouter',
  'wishes.either': 'les deux me vont',
  'wishes.again': 'Se retrouver',
  'wishes.same': 'Retrouver la même personne me va, si elle le dit aussi',
  'keys': 'Touches',
  'keys.mute': 'M coupe et rétablit le micro',
  'keys.vanish': 'Maj (Shift) trois fois quitte aussitôt',

  'asking.title': 'Votre navigateur demande l’accès au micro.',
  'asking.text': 'Si vous l’autorisez, nous cherchons quelqu’un. Sinon, il ne se passe rien.',
  'asking.stop': 'Pas maintenant',

  'mic.retry': 'Réessayer',
  'mic.back': 'Retour',
  'mic.dismissed.title': 'Nous n’avons pas encore le micro.',
  'mic.dismissed.text': 'Ce n’est pas grave. Si c’était par mégarde, réessayez et choisissez « Autoriser ».',
  'mic.site.title': 'Le micro est bloqué pour ce site.',
  'mic.site.text': 'Ouvrez l’icône à côté de l’adresse, réglez « Micro » sur « Autoriser », puis revenez et réessayez.',
  'mic.system.title': 'Votre appareil ne laisse pas le navigateur utiliser le micro.',
  'mic.system.text': 'Ouvrez les réglages de confidentialité de votre appareil, autorisez le micro pour ce navigateur, puis réessayez.',
  'mic.none.title': 'Nous ne trouvons pas de micro.',
  'mic.none.text': 'Branchez-en un ou allumez-le. La page le remarque d’elle-même.',
  'mic.busy.title': 'Une autre application utilise le micro.',
  'mic.busy.text': 'Fermez l’autre appel ou enregistrement, puis réessayez.',
  'mic.ignored.title': 'Votre navigateur attend encore votre réponse.',
  'mic.ignored.text': 'Sa question se trouve près de l’adresse, en haut ou en bas de la fenêtre. Rien ne presse.',
  'mic.unsupported.title': 'Ce navigateur ne peut pas utiliser de micro ici.',
  'mic.unsupported.text': 'L’adresse doit commencer par https, dans un navigateur récent.',

  'waiting.title': 'Vous êtes là. Nous vous préviendrons quand quelqu’un arrivera.',
  'waiting.long': 'Il n’y a encore personne. C’est calme, et cela ne tient pas à vous. Vous pouvez attendre ou revenir.',
  'waiting.still': 'Arrêter le mouvement',
  'waiting.stop': 'Ne plus attendre',

  'offline.title': 'Nous n’arrivons pas à joindre Sotto pour l’instant.',
  'offline.closing': 'Sotto ferme un moment.',
  'offline.text': 'Nous continuons d’essayer. Dès que Sotto revient, vous aussi.',
  'offline.retry': 'Essayer maintenant',
  'offline.stop': 'Laisser pour l’instant',

  'help.title': 'De l’aide, maintenant',
  'help.stranger': 'Les personnes que vous rencontrez ici vous sont inconnues et ne sont pas un service de crise. Si vous êtes en danger, appelez le numéro d’urgence. Au bout de ces lignes, on est là pour écouter.',
  'help.country': 'Pays',
  'help.call': 'Téléphone',
  'help.or': 'ou',
  'help.text': 'SMS',
  'help.whatsapp': 'WhatsApp',
  'help.chat': 'Tchat sur leur site',
  'help.always': 'Jour et nuit',
  'help.hours': 'De {from} à {to}',
  'help.unknown': 'Nous ne connaissons pas les horaires',
  'help.language': 'En {language}',
  'help.change': 'Les numéros peuvent changer. Nous n’avons pas appelé celui-ci nous-mêmes.',
  'help.checked': 'Relevé le {date}. Les numéros peuvent changer.',
  'help.elsewhere': 'Un autre pays',
  'help.elsewhere.text': 'Nous n’y connaissons pas de ligne. Le numéro d’urgence, un médecin ou un hôpital peut vous dire qui écoute.',
  'help.close': 'Fermer',
};
