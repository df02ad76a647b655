// Header files for hosts other than our server, from the one table in policies.mjs.
// `files` are the paths of a built folder; scripts and pages that are added to it
// later are covered by suffix where the host's format can say so.
import {
  headersOf,
  headersOfKind,
  KINDS,
  kindOf,
  LITERAL_POLICY,
  strictPolicy,
} from './policies.mjs';

const NOTE = 'Written by `wasm-ai build` from harness/server/policies.mjs.';

/** file name -> generator; each gets { files, site } and gives text. */
export const HOSTS = {
  'nginx.conf': nginx,
  'apache.htaccess': apache,
  Caddyfile: caddy,
  _headers: netlify,
  'vercel.json': vercel,
};

/**
 * @param {{ files: string[], workers: string[], strict: boolean, trustedTypes?: string[] }} folder
 * @returns {Record<string, string>} file name -> text
 */
export function headerFiles({ files, workers, strict, trustedTypes }) {
  const site = { workers, pagePolicy: strict ? strictPolicy({ trustedTypes }) : LITERAL_POLICY };
  const suffixes = KINDS.flatMap((kind) =>
    kind.suffix.filter(Boolean).map((suffix) => ({ suffix, headers: headersOfKind(kind, site) })),
  );
  const exact = files.map((path) => ({ path, headers: headersOf(path, site) }));
  // Files whose headers differ from those of their suffix: the worker, and hashed names.
  const special = exact.filter(({ path, headers }) => {
    const usual = headersOfKind(kindOf(path), site);
    return JSON.stringify(headers) !== JSON.stringify(usual);
  });
  const rules = { suffixes, exact, special };
  return Object.fromEntries(Object.entries(HOSTS).map(([name, write]) => [name, write(rules)]));
}

const pairs = (headers, skip = []) =>
  Object.entries(headers).filter(([name]) => !skip.includes(name));
const escapeRegex = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

// add_header in a location replaces all that a level above had: each location says everything.
function nginx({ suffixes, special }) {
  const body = (headers) =>
    [
      `    types { } default_type "${headers['Content-Type'].replace(/;.*/, '')}";`,
      ...(headers['Content-Type'].includes('charset')
        ? ['    charset utf-8; charset_types *;']
        : []),
      ...pairs(headers, ['Content-Type']).map(
        ([name, value]) => `    add_header ${name} "${value}" always;`,
      ),
    ].join('\n');
  return [
    `# ${NOTE}`,
    '# Include it in a `server { }` block whose root is this folder.',
    'index index.html;',
    'location ~ /\\. { deny all; }',
    ...special.map(({ path, headers }) => `location = /${path} {\n${body(headers)}\n}`),
    ...suffixes.map(
      ({ suffix, headers }) => `location ~* ${escapeRegex(suffix)}$ {\n${body(headers)}\n}`,
    ),
    '',
  ].join('\n');
}

// Later sections win; `Header always set` replaces.
function apache({ suffixes, special }) {
  const section = (pattern, headers) =>
    [
      `<FilesMatch "${pattern}">`,
      `  ForceType "${headers['Content-Type']}"`,
      ...pairs(headers, ['Content-Type']).map(
        ([name, value]) => `  Header always set ${name} "${value}"`,
      ),
      '</FilesMatch>',
    ].join('\n');
  return [
    `# ${NOTE}`,
    '# Copy it as .htaccess into this folder; needs mod_headers.',
    'DirectoryIndex index.html',
    'Options -Indexes',
    '<FilesMatch "^\\.">',
    '  Require all denied',
    '</FilesMatch>',
    ...suffixes.map(({ suffix, headers }) => section(`${escapeRegex(suffix)}$`, headers)),
    ...special.map(({ path, headers }) =>
      section(`^${escapeRegex(path.replace(/.*\//, ''))}$`, headers),
    ),
    '',
  ].join('\n');
}

function caddy({ suffixes, special }) {
  const block = (name, matcher, headers) =>
    [
      `\t@${name} {`,
      ...matcher.map((line) => `\t\t${line}`),
      '\t}',
      `\theader @${name} {`,
      ...pairs(headers).map(([key, value]) => `\t\t${key} "${value}"`),
      '\t}',
    ].join('\n');
  return [
    `# ${NOTE}`,
    '# Set the address and the folder.',
    'localhost:8443 {',
    '\troot * .',
    '\t@hidden path */.*',
    '\trespond @hidden 404',
    ...suffixes.map(({ suffix, headers }) => {
      const apart = special
        .filter(({ path }) => path.endsWith(suffix))
        .map(({ path }) => `/${path}`);
      const pages = suffix === '.html' ? ' */' : '';
      return block(
        `suffix_${suffix.slice(1)}`,
        [`path *${suffix}${pages}`, ...(apart.length ? [`not path ${apart.join(' ')}`] : [])],
        headers,
      );
    }),
    ...special.map(({ path, headers }, i) => block(`file_${i}`, [`path /${path}`], headers)),
    '\tfile_server',
    '}',
    '',
  ].join('\n');
}

// Netlify and Cloudflare Pages. Rules that overlap are joined, so each path has exactly one.
function netlify({ exact, suffixes }) {
  const page = suffixes.find(({ suffix }) => suffix === '.html')?.headers ?? {};
  const rule = (path, headers) =>
    [path, ...pairs(headers).map(([name, value]) => `  ${name}: ${value}`)].join('\n');
  return [
    `# ${NOTE}`,
    '# Copy it to the root of the site. Pages that you add need a rule of their own, like the one of "/".',
    rule('/', page),
    ...exact.map(({ path, headers }) => rule(`/${path}`, headers)),
    '',
  ].join('\n');
}

function vercel({ exact, suffixes }) {
  const page = suffixes.find(({ suffix }) => suffix === '.html')?.headers ?? {};
  const list = (headers) => pairs(headers).map(([key, value]) => ({ key, value }));
  const rules = [
    { source: '/', headers: list(page) },
    ...exact.map(({ path, headers }) => ({ source: `/${path}`, headers: list(headers) })),
  ];
  return `${JSON.stringify({ headers: rules }, null, 2)}\n`;
}
