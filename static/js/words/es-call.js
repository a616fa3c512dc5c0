// @ts-check
/** Spanish, with «tú», for both sides of the Atlantic: what only a conversation and its end say. */

/** @type {import('../words.js').Calling} */
export const words = {
  'you': 'Tú',
  'them': 'La otra persona',

  'mic.calls.title': 'Este navegador no puede hacer llamadas aquí.',
  'mic.calls.text': 'Puede que un ajuste o una extensión haya desactivado las llamadas (WebRTC). Quizá funcione con otro navegador.',

  'offered.title': 'Hay alguien aquí. ¿Empezamos?',
  'offered.accept': 'Decir hola',
  'offered.decline': 'Ahora no',
  'offered.tab': 'Hay alguien aquí',

  'connecting.title': 'Hay alguien aquí. Un momento.',
  'talking.title': 'Basta un hola. También el silencio.',
  'rejoining.title': 'La línea está débil. Seguimos aquí.',
  'mute': 'Silenciar',
  'muted': 'La otra persona no te oye ahora mismo.',
  'unmuted': 'La otra persona te oye de nuevo.',
  'end': 'Terminar',

  'ended.self': 'Has salido de la conversación. Gracias por haber estado aquí.',
  'ended.left': 'La conversación ha terminado. La gente se va por todo tipo de motivos.',
  'ended.lost': 'Se perdió la línea, y no podemos saber por qué.',
  'ended.closing': 'Sotto cierra por un momento, y con él se fue la línea.',
  'ended.missed': 'Alguien estuvo aquí mientras no estabas. A veces pasa, y puede que venga otra persona.',
  'again': 'Encontrar a otra persona',
  'rest': 'Es suficiente por ahora',

  'resting.title': 'Es suficiente por ahora.',
  'resting.text': 'Puedes cerrar esta página. Aquí no queda nada, y puedes volver cuando quieras.',
  'resting.again': 'Encontrar a alguien con quien hablar',
  'emoji.title': 'Seis emojis',
  'emoji.how': 'Para comparar, una persona lee en voz alta los tres primeros y la otra los tres últimos.',
  'emoji.what': 'Qué te dicen los seis',
  'emoji.same': 'Si las dos personas ven los mismos seis, sus voces van de una a otra y a ningún otro lugar. Si son distintos, puede que alguien escuche en medio: no digas nada privado y termina la conversación.',
  'emoji.limits': 'Protege a quienes comparan. No te dice quién es la otra persona, y se fía de esta página, que ha enviado el mismo servidor.',
  'ended.unverified': 'Hemos terminado la conversación, por precaución.',
  'ended.unverified.text': 'La línea no iba bien, o alguien intentó meterse en medio. No podemos saber cuál de las dos cosas. Puedes buscar a otra persona; si vuelve a pasar, prueba con otra red.',
  'voice.unheard': 'El cambio de voz no funciona, así que la otra persona no te oye ahora.',
  'voice.try': 'Intentar de nuevo',
  'voice.use-own': 'Usar mi propia voz',
  'type': 'Escribir en vez de hablar',
  'type.unread': 'La otra persona ha escrito algo.',
  'type.log': 'Lo que se ha escrito en esta conversación',
  'type.line': 'Una línea para la otra persona',
  'type.send': 'Enviar',
  'type.me': 'Tú:',
  'type.them': 'La otra persona:',
  'type.gone': 'Solo las dos personas que conversan pueden leerlo. Desaparece con la conversación.',
  'unpadded': 'Este navegador no puede ocultar a la red cuándo habla alguien. Lo que se dice sigue oculto.',
};

export const emoji = [
  'Perro', 'Gato', 'León', 'Caballo', 'Unicornio', 'Cerdo', 'Elefante', 'Conejo',
  'Panda', 'Gallo', 'Pingüino', 'Tortuga', 'Pez', 'Pulpo', 'Mariposa', 'Flor',
  'Árbol', 'Cactus', 'Hongo', 'Globo terráqueo', 'Luna', 'Nube', 'Fuego', 'Plátano',
  'Manzana', 'Fresa', 'Maíz', 'Pizza', 'Pastel', 'Corazón', 'Sonrisa', 'Robot',
  'Sombrero', 'Gafas', 'Llave inglesa', 'Papá Noel', 'Pulgar arriba', 'Paraguas', 'Reloj de arena', 'Despertador',
  'Regalo', 'Bombilla', 'Libro', 'Lápiz', 'Clip', 'Tijeras', 'Candado', 'Llave',
  'Martillo', 'Teléfono', 'Bandera', 'Tren', 'Bicicleta', 'Avión', 'Cohete', 'Trofeo',
  'Pelota', 'Guitarra', 'Trompeta', 'Campana', 'Ancla', 'Auriculares', 'Carpeta', 'Alfiler',
];
