// What a Content-Security-Policy lets through. Several policies all hold: a weakness counts when every
// one of them has it.

/** @param {string} text @returns {Map<string, string[]>[]} */
export function readPolicies(text) {
  return text
    .split(',')
    .map(
      (policy) =>
        new Map(
          policy
            .split(';')
            .map((part) => part.trim().split(/\s+/))
            .filter(([name]) => name)
            .reverse() // of two directives with one name the first counts
            .map(([name, ...values]) => [name.toLowerCase(), values.map(lower)]),
        ),
    )
    .filter((policy) => policy.size > 0);
}

const lower = (source) => (/^'(nonce|sha\d+)-/.test(source) ? source : source.toLowerCase());

const FALLBACK = {
  'script-src': ['script-src', 'default-src'],
  'worker-src': ['worker-src', 'child-src', 'script-src', 'default-src'],
  'connect-src': ['connect-src', 'default-src'],
  'frame-src': ['frame-src', 'child-src', 'default-src'],
};

/** Sources of a directive, by its fallbacks; null when nothing limits it. @param {Map<string, string[]>} policy */
export function sourcesOf(policy, directive) {
  const name = FALLBACK[directive].find((candidate) => policy.has(candidate));
  return name ? (policy.get(name) ?? []) : null;
}

const ANY = new Set(['*', 'http:', 'https:', 'data:']);
const isAny = (sources) => sources === null || sources.some((source) => ANY.has(source));
const has = (directive, token) => (policy) =>
  sourcesOf(policy, directive)?.includes(token) ?? false;
const isNone = (sources) => sources?.every((source) => source === "'none'") ?? false;

/** Finding -> whether one policy of a page has it. */
const PAGE = {
  'csp-unsafe-inline': (policy) => {
    const sources = sourcesOf(policy, 'script-src') ?? [];
    const better = sources.some((source) => /^'(nonce|sha\d+)-|^'strict-dynamic'/.test(source));
    return sources.includes("'unsafe-inline'") && !better;
  },
  'csp-unsafe-eval': has('script-src', "'unsafe-eval'"),
  'csp-any-source': (policy) => isAny(sourcesOf(policy, 'script-src')),
  'csp-blob': (policy) => has('script-src', 'blob:')(policy) || has('worker-src', 'blob:')(policy),
  'csp-wasm-on-page': has('script-src', "'wasm-unsafe-eval'"),
  'csp-connect-any': (policy) => isAny(sourcesOf(policy, 'connect-src')),
  'csp-frame-any': (policy) => isAny(sourcesOf(policy, 'frame-src')),
  'csp-base-uri': (policy) => !policy.has('base-uri'),
  'csp-form-action': (policy) => !policy.has('form-action'),
  'trusted-types-missing': (policy) => !policy.has('require-trusted-types-for'),
  'trusted-types-any': (policy) =>
    policy.has('require-trusted-types-for') && (policy.get('trusted-types') ?? ['*']).includes('*'),
};

const NESTED = /^'(?!self)|^blob:$|^https?:\/\/[^/]+\/.+\.m?js$/;
const WORKER = {
  'worker-network': (policy) => !isNone(sourcesOf(policy, 'connect-src')),
  'worker-eval': has('script-src', "'unsafe-eval'"),
  // One file is what a pool of threads needs; of the worker's origin it could be one without a policy.
  'worker-nested': (policy) =>
    (policy.get('worker-src') ?? policy.get('child-src'))?.some((source) => !NESTED.test(source)),
  'worker-self': (policy) => {
    const sources = sourcesOf(policy, 'script-src');
    return (
      sources === null || sources.some((source) => !source.startsWith("'") || source === "'self'")
    );
  },
};

const weaknesses = (rules, policies) =>
  Object.keys(rules).filter((id) => policies.every((policy) => rules[id](policy)));

/** @param {Map<string, string[]>[]} policies */
export function pageWeaknesses(policies) {
  return weaknesses(PAGE, policies);
}

/** @param {Map<string, string[]>[]} policies */
export function workerWeaknesses(policies) {
  const found = weaknesses(WORKER, policies);
  const blocked = policies.some((policy) => {
    const sources = sourcesOf(policy, 'script-src');
    return sources && !sources.some((source) => /^'(wasm-)?unsafe-eval'$/.test(source));
  });
  if (blocked) found.push('worker-blocks-wasm');
  return found;
}

/** Whether text can become code. @param {Map<string, string[]>[]} policies */
export const allowsEval = (policies) =>
  policies.every((policy) => {
    const sources = sourcesOf(policy, 'script-src');
    return sources === null || sources.includes("'unsafe-eval'");
  });

export const isFramable = (policies) => policies.every((policy) => !policy.has('frame-ancestors'));
