// The shown elements that a person would mean; of several kinds of likeness only the closest that occurs.
// Arguments: "css", "control" or "button"; a selector or the words that stand there; the selector of the part to look in.
const [kind, wanted, scope] = arguments;
const root = scope ? document.querySelector(scope) : document;
if (!root) return [];

const KINDS = {
  control: 'input:not([type=hidden], [type=submit], [type=button], [type=reset], [type=image]), select, textarea',
  button: 'a[href], button, summary, input[type=submit], input[type=button], [role=button], [role=menuitem], [role=tab]',
};
const NOT_WORDS = '[aria-hidden=true], svg, input, select, textarea, script, style, template';

const plain = (text) => (text || '').replace(/\s+/g, ' ').trim();
const shown = (element) => element.checkVisibility({ visibilityProperty: true });
const words = (element) => {
  const copy = element.cloneNode(true);
  copy.querySelectorAll(NOT_WORDS).forEach((it) => it.remove());
  return plain(copy.textContent);
};
const named = (ids) => plain((ids || '').split(/\s+/).map((id) => document.getElementById(id)).filter(Boolean).map(words).join(' '));
const names = (element) => {
  const said = [named(element.getAttribute('aria-labelledby')), plain(element.getAttribute('aria-label'))];
  if (kind === 'control') said.push(...[...(element.labels || [])].map(words));
  else said.push(words(element), plain(element.value), plain(element.title));
  return said.filter(Boolean);
};
const bySelector = (selector) => {
  try { return [...root.querySelectorAll(selector)]; } catch { return []; }
};

if (kind === 'css') return bySelector(wanted);

const candidates = [...root.querySelectorAll(KINDS[kind])].filter(shown).map((element) => [element, names(element)]);
const likenesses = [
  (name) => name === wanted,
  (name) => name.toLowerCase() === wanted.toLowerCase(),
  (name) => name.startsWith(wanted),
];
// Two links to the same place are one thing to a person.
const once = (elements) => elements.filter((it, at) => !it.href || elements.findIndex((other) => other.href === it.href) === at);
for (const like of likenesses) {
  const found = candidates.filter(([, said]) => said.some(like)).map(([element]) => element);
  const main = found.filter((element) => element.closest('main'));
  if (found.length) return once(main.length ? main : found);
}
return kind === 'control' ? bySelector(wanted).filter((element) => element.matches(KINDS.control)) : [];
