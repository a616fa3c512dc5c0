// @ts-check
/**
 * Which language the page is read in: the chosen one, or the first of the browser's that there is a catalogue for. Not
 * a module, since those wait for the document: this has to be known before anything is painted. It asks for the
 * catalogue at once, and `style.css` keeps English out of sight meanwhile, for a second at most. And what becomes of a
 * page of which a part did not come.
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

  /**
   * The page is without a script or without its looks: a network that changed in the wrong moment. It is loaded anew
   * once, as soon as there is a network; after that the visitor decides. Help opens all the same.
   */
  const onMissing = () => {
    const [navigation] = performance.getEntriesByType('navigation');
    if (/** @type {PerformanceNavigationTiming | undefined} */ (navigation)?.type === 'reload') {
      document.querySelector('[data-part="incomplete"]')?.removeAttribute('hidden');
      const dialog = document.querySelector('dialog');
      document.querySelector('[data-action="help"]')?.addEventListener('click', () => dialog?.showModal());
      document.querySelector('[data-part="help-close"]')?.addEventListener('click', () => dialog?.close());
    } else if (navigator.onLine) location.reload();
    else addEventListener('online', () => location.reload(), { once: true });
  };
  let missing = false;
  // They do not bubble. A module's is that of whatever it imports as well.
  addEventListener('error', ({ target }) => {
    const needed = target instanceof HTMLScriptElement || target instanceof HTMLLinkElement && target.rel === 'stylesheet';
    if (!needed || missing) return;
    missing = true;
    if (document.readyState === 'loading') addEventListener('DOMContentLoaded', onMissing);
    else onMissing();
  }, true);
}
