// @ts-check
/** Portuguese, with “você”: what only a conversation and its end say. */

/** @type {import('../words.js').Calling} */
export const words = {
  'you': 'Você',
  'them': 'A outra pessoa',

  'mic.calls.title': 'Este navegador não pode fazer chamadas aqui.',
  'mic.calls.text': 'Talvez uma configuração ou extensão tenha desligado as chamadas (WebRTC). Outro navegador pode servir.',

  'offered.title': 'Alguém está aqui. Vamos começar?',
  'offered.accept': 'Dizer olá',
  'offered.decline': 'Agora não',
  'offered.tab': 'Alguém está aqui',

  'connecting.title': 'Alguém está aqui. Um momento.',
  'talking.title': 'Um olá basta. O silêncio também.',
  'rejoining.title': 'A linha está fraca. Seguimos aqui.',
  'mute': 'Silenciar',
  'muted': 'A outra pessoa não ouve você agora.',
  'unmuted': 'A outra pessoa ouve você de novo.',
  'end': 'Encerrar',

  'ended.self': 'Você saiu da conversa. Agradecemos por ter estado aqui.',
  'ended.left': 'A conversa terminou. As pessoas saem por todo tipo de motivo.',
  'ended.lost': 'Perdemos a linha, e não sabemos dizer por quê.',
  'ended.closing': 'O Sotto fecha por um momento, e a linha foi junto.',
  'ended.missed': 'Alguém esteve aqui durante a sua ausência. Isso acontece, e outra pessoa pode vir.',
  'again': 'Encontrar outra pessoa',
  'rest': 'Por agora é suficiente',

  'resting.title': 'Por agora é suficiente.',
  'resting.text': 'Você pode fechar esta página. Nada fica para trás, e você pode voltar quando quiser.',
  'resting.again': 'Encontrar alguém para conversar',
  'emoji.title': 'Seis emojis',
  'emoji.how': 'Para comparar, uma pessoa lê em voz alta os três primeiros e a outra os três últimos.',
  'emoji.what': 'O que os seis dizem a você',
  'emoji.same': 'Se vocês veem os mesmos seis, suas vozes vão de uma pessoa à outra e a nenhum outro lugar. Se forem diferentes, alguém pode estar ouvindo no meio: não diga nada privado e encerre a conversa.',
  'emoji.limits': 'Protege quem compara. Não diz quem é a outra pessoa, e confia nesta página, que o mesmo servidor enviou.',
  'ended.unverified': 'Encerramos a conversa, por precaução.',
  'ended.unverified.text': 'A linha estava com defeito, ou alguém tentou ficar entre vocês. Não sabemos dizer qual dos dois. Você pode procurar outra pessoa; se acontecer de novo, tente outra rede.',
  'voice.unheard': 'A mudança de voz não está funcionando, por isso a outra pessoa não ouve você agora.',
  'voice.try': 'Tentar de novo',
  'voice.use-own': 'Usar minha própria voz',
  'type': 'Escrever em vez de falar',
  'type.unread': 'A outra pessoa escreveu algo.',
  'type.log': 'O que vocês escreveram',
  'type.line': 'Uma linha para a outra pessoa',
  'type.send': 'Enviar',
  'type.me': 'Você:',
  'type.them': 'A outra pessoa:',
  'type.gone': 'Só vocês podem ler. Desaparece com a conversa.',
  'unpadded': 'Este navegador não consegue esconder da rede quando alguém fala. O que se diz continua escondido.',
};

export const emoji = [
  'Cão', 'Gato', 'Leão', 'Cavalo', 'Unicórnio', 'Porco', 'Elefante', 'Coelho',
  'Panda', 'Galo', 'Pinguim', 'Tartaruga', 'Peixe', 'Polvo', 'Borboleta', 'Flor',
  'Árvore', 'Cacto', 'Cogumelo', 'Globo', 'Lua', 'Nuvem', 'Fogo', 'Banana',
  'Maçã', 'Morango', 'Milho', 'Pizza', 'Bolo', 'Coração', 'Sorriso', 'Robô',
  'Chapéu', 'Óculos', 'Chave inglesa', 'Papai Noel', 'Polegar para cima', 'Guarda-chuva', 'Ampulheta', 'Despertador',
  'Presente', 'Lâmpada', 'Livro', 'Lápis', 'Clipe', 'Tesoura', 'Cadeado', 'Chave',
  'Martelo', 'Telefone', 'Bandeira', 'Trem', 'Bicicleta', 'Avião', 'Foguete', 'Troféu',
  'Bola', 'Guitarra', 'Trompete', 'Sino', 'Âncora', 'Fones de ouvido', 'Pasta', 'Alfinete',
];
