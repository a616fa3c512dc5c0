// @ts-check
/**
 * Which language the page is read in: the chosen one, or the first of the browser's that there is a catalogue for. Not
 * a module, since those wait for the document: this has to be known before anything is painted. It asks for the
 * catalogue at once, and `style.css` keeps English out of sight meanwhile, for a second at most.
 */

{
  const languages = ['en', 'de', 'es', 'fr', 'pt', 'ar'];
  let chosen = '';
  try {
    chosen = String(JSON.parse(localStorage.getItem('sotto') ?? '{}').page);
  } catch {
    // Nothing is stored here, or not by us.
  }
  const tags = [chosen, ...navigator.languages].map((tag) => tag.split(/[-_]/)[0]?.toLowerCase() ?? '');
  const language = tags.find((tag) => languages.includes(tag)) ?? 'en';
  document.documentElement.dataset.words = language;
  const link = document.createElement('link');
  link.rel = 'modulepreload';
  link.href = `/js/words/${language}.js`;
  document.head.append(link);
}
