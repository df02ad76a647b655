// Header files for hosts other than our server, from the one table in policies.mjs.
// `files` are the paths of a built folder; scripts and pages that are added to it
// later are covered by suffix where the host's format can say so.
import {
  COMPRESSED,
  EVERY,
  HSTS,
  headersOf,
  headersOfKind,
  KINDS,
  kindOf,
  pagePolicyOf,
  WORKER_POLICY,
} from './policies.mjs';

const NOTE = 'Written by `wasm-ai build` from harness/server/policies.mjs.';

/** File name -> generator; each gets Rules and gives text. */
export const HOSTS = {
  'nginx.conf': nginx,
  'apache.htaccess': apache,
  Caddyfile: caddy,
  _headers: netlify,
  'vercel.json': vercel,
  'firebase.json': firebase,
  'cloudfront-function.js': cloudfront,
  'web.config': iis,
  'express.mjs': express,
  'github-pages.txt': githubPages,
};

/**
 * @typedef {Record<string, string>} Headers
 * @typedef {object} Rules
 * @property {{ suffix: string, headers: Headers }[]} suffixes  by ending, no two overlap
 * @property {{ path: string, headers: Headers }[]} special     files whose headers differ from those of their ending
 * @property {{ path: string, headers: Headers }[]} exact       all files
 * @property {Headers} page   of pages, the folder's address among them
 * @property {Headers} other  of any other ending
 */

/**
 * @param {{ files: string[], workers: string[], frame: { file: string, script: string }, policy: string,
 *   trustedTypes?: string[], origin?: string | null }} folder  as in its manifest
 * @returns {Rules}
 */
export function rulesOf({ files, ...folder }) {
  const { workers, frame } = folder;
  const site = { workers, frame, pagePolicy: pagePolicyOf(folder), hsts: true };
  const suffixes = KINDS.flatMap((kind) =>
    kind.suffix.filter(Boolean).map((suffix) => ({ suffix, headers: headersOfKind(kind, site) })),
  );
  // Signatures too, whether they are there or not: nothing changes when the folder is signed later.
  const signed = files.filter((path) => /\.wai$|^manifest\.json$/.test(path));
  const all = [...files, ...signed.map((path) => `${path}.jws`)].sort();
  const exact = all.map((path) => ({ path, headers: headersOf(path, site) }));
  const special = exact.filter(({ path, headers }) => {
    const usual = headersOfKind(kindOf(path), site);
    return JSON.stringify(headers) !== JSON.stringify(usual);
  });
  return {
    suffixes,
    exact,
    special,
    page: headersOf('index.html', site),
    other: headersOf('x', site),
  };
}

/** @param {Parameters<typeof rulesOf>[0]} folder @returns {Record<string, string>} file name -> text */
export function headerFiles(folder) {
  const rules = rulesOf(folder);
  return Object.fromEntries(Object.entries(HOSTS).map(([name, write]) => [name, write(rules)]));
}

const pairs = (headers, skip = []) =>
  Object.entries(headers).filter(([name]) => !skip.includes(name));
const asList = (headers) => pairs(headers).map(([key, value]) => ({ key, value }));
const escapeRegex = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

// add_header in a location replaces all that a level above had: each location says everything. The first
// regular expression that fits counts, and an exact location comes before them.
/** @param {Rules} rules */
function nginx({ suffixes, special, other }) {
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
    '# Include it in a `server { }` block whose root is this folder. Beside it belong, in `http { }`:',
    '#   limit_req_zone $binary_remote_addr zone=perip:10m rate=50r/s;  server_tokens off;',
    '# and in the block itself:',
    '#   listen 443 ssl;  ssl_protocols TLSv1.2 TLSv1.3;  limit_req zone=perip burst=200 nodelay;',
    '#   client_header_timeout 10s;  client_body_timeout 10s;  send_timeout 30s;  client_max_body_size 1k;',
    '# A block of its own redirects: listen 80; return 308 https://$host$request_uri;',
    'index index.html;',
    'autoindex off;',
    'gzip on; gzip_vary on; gzip_proxied any; gzip_comp_level 6; gzip_min_length 1024;',
    `gzip_types ${COMPRESSED.filter((type) => type !== 'text/html').join(' ')};`,
    'location ~ /\\.(?!well-known/) { return 404; }',
    ...special.map(({ path, headers }) => `location = /${path} {\n${body(headers)}\n}`),
    ...suffixes.map(
      ({ suffix, headers }) => `location ~* ${escapeRegex(suffix)}$ {\n${body(headers)}\n}`,
    ),
    `location / {\n${body(other)}\n}`,
    '',
  ].join('\n');
}

// Later sections win; `Header always set` replaces.
/** @param {Rules} rules */
function apache({ suffixes, special, other }) {
  const section = (pattern, headers) =>
    [
      `<FilesMatch "${pattern}">`,
      `  ForceType "${headers['Content-Type']}"`,
      ...pairs(other, ['Content-Type'])
        .filter(([name]) => !(name in headers))
        .map(([name]) => `  Header always unset ${name}`),
      ...pairs(headers, ['Content-Type']).map(
        ([name, value]) => `  Header always set ${name} "${value}"`,
      ),
      '</FilesMatch>',
    ].join('\n');
  return [
    `# ${NOTE}`,
    '# Copy it as .htaccess into this folder. Needs mod_headers, mod_alias and mod_dir, and',
    '# `AllowOverride FileInfo Indexes Options=Indexes`. Folder names are not looked at, names of files are.',
    '# TLS and the redirect belong into the server itself: SSLProtocol -all +TLSv1.2 +TLSv1.3, Redirect',
    '# permanent / https://HOST/; against slow clients mod_reqtimeout, which is on by default.',
    'DirectoryIndex index.html',
    'Options -Indexes',
    'RedirectMatch 404 "/\\.(?!well-known/)"',
    '<IfModule mod_deflate.c>',
    '<IfModule mod_filter.c>',
    `  AddOutputFilterByType DEFLATE ${COMPRESSED.join(' ')}`,
    '</IfModule>',
    '</IfModule>',
    section('.', other),
    ...suffixes.map(({ suffix, headers }) => section(`(?i)${escapeRegex(suffix)}$`, headers)),
    ...special.map(({ path, headers }) =>
      section(`^${escapeRegex(path.replace(/.*\//, ''))}$`, headers),
    ),
    '',
  ].join('\n');
}

// Matchers are disjoint: no header is set twice.
/** @param {Rules} rules */
function caddy({ suffixes, special, other }) {
  const block = (name, matcher, headers) =>
    [
      `\t@${name} {`,
      ...matcher.map((line) => `\t\t${line}`),
      '\t}',
      `\theader @${name} {`,
      ...pairs(headers).map(([key, value]) => `\t\t${key} "${value}"`),
      '\t\t-Server',
      '\t}',
    ].join('\n');
  const globOf = (suffix) => `*${suffix}${suffix === '.html' ? ' */' : ''}`;
  const specials = special.map(({ path }) => `/${path}`).join(' ');
  const apart = specials ? [`not path ${specials}`] : [];
  return [
    `# ${NOTE}`,
    '# Set the address and the folder here or by the environment. TLS 1.2 is the least that Caddy takes,',
    '# and it redirects http by itself. Rate limits need another module or a proxy in front.',
    '{$WASM_AI_SITE:localhost} {',
    '\troot * {$WASM_AI_ROOT:.}',
    '\tencode {',
    '\t\tzstd',
    '\t\tgzip',
    '\t\tminimum_length 1024',
    '\t\tmatch {',
    ...COMPRESSED.map((type) => `\t\t\theader Content-Type ${type}*`),
    '\t\t}',
    '\t}',
    '\t@hidden {',
    '\t\tpath */.*',
    '\t\tnot path /.well-known/*',
    '\t}',
    '\trespond @hidden 404',
    ...suffixes.map(({ suffix, headers }) =>
      block(`suffix_${suffix.slice(1)}`, [`path ${globOf(suffix)}`, ...apart], headers),
    ),
    ...special.map(({ path, headers }, i) => block(`file_${i}`, [`path /${path}`], headers)),
    block(
      'other',
      [`not path ${suffixes.map(({ suffix }) => globOf(suffix)).join(' ')}`, ...apart],
      other,
    ),
    '\tfile_server',
    '}',
    '',
  ].join('\n');
}

// Netlify and Cloudflare Pages. Both join the values of rules that overlap: what is the same everywhere
// is said once for all, the rest once for each path and never by a pattern.
/** @param {Rules} rules */
function netlify({ exact, page }) {
  const everywhere = ([name, value]) => exact.every(({ headers }) => headers[name] === value);
  const common = Object.fromEntries(Object.entries({ ...EVERY, ...HSTS }).filter(everywhere));
  const rule = (path, headers) =>
    [path, ...pairs(headers).map(([name, value]) => `  ${name}: ${value}`)].join('\n');
  const own = (headers) => Object.fromEntries(pairs(headers, Object.keys(common)));
  // Both serve a page by its name without .html too, and Cloudflare sends visitors there.
  const short = exact.filter(
    ({ path }) => /\.html$/.test(path) && !/(^|\/)index\.html$/.test(path),
  );
  return [
    `# ${NOTE}`,
    '# Copy it to the root of the site. Pages and scripts that you add need a rule of their own, like those',
    '# of "/" and of "/wasmai.js": patterns cannot be used, because values of rules that overlap are joined.',
    '# Cloudflare Pages takes 100 rules.',
    rule('/*', common),
    rule('/', own(page)),
    ...exact.map(({ path, headers }) => rule(`/${path}`, own(headers))),
    ...short.map(({ path, headers }) => rule(`/${path.replace(/\.html$/, '')}`, own(headers))),
    '',
  ].join('\n');
}

// Of the rules that fit, the last one's value of a header counts: from the general to the particular.
/** @param {Rules} rules */
function vercel({ suffixes, special, page, other }) {
  const rules = [
    { source: '/(.*)', headers: asList(other) },
    { source: '/(.*/)?', headers: asList(page) },
    ...suffixes.map(({ suffix, headers }) => ({
      source: `/(.*)\\${suffix}`,
      headers: asList(headers),
    })),
    ...special.map(({ path, headers }) => ({ source: `/${path}`, headers: asList(headers) })),
  ];
  return `${JSON.stringify({ cleanUrls: false, headers: rules }, null, 2)}\n`;
}

// The same order as Vercel's.
/** @param {Rules} rules */
function firebase({ suffixes, special, page, other }) {
  const headers = [
    { source: '**', headers: asList(other) },
    { regex: '^/(.*/)?$', headers: asList(page) },
    ...suffixes.map(({ suffix, headers: list }) => ({
      source: `**/*${suffix}`,
      headers: asList(list),
    })),
    ...special.map(({ path, headers: list }) => ({ source: `/${path}`, headers: asList(list) })),
  ];
  const hosting = {
    public: '.',
    ignore: ['firebase.json', 'headers/**', '**/.*'],
    cleanUrls: false,
    headers,
  };
  return `${JSON.stringify({ hosting }, null, 2)}\n`;
}

/** Header sets, each once, and which path has which: for hosts that run a program. @param {Rules} rules */
function tableFor({ suffixes, special, page, other }) {
  const common = Object.fromEntries(
    pairs(other).filter(([name, value]) =>
      [page, ...[...suffixes, ...special].map(({ headers }) => headers)].every(
        (headers) => headers[name] === value,
      ),
    ),
  );
  /** @type {string[]} */
  const sets = [];
  const setOf = (headers) => {
    const text = JSON.stringify(Object.fromEntries(pairs(headers, Object.keys(common))));
    if (!sets.includes(text)) sets.push(text);
    return sets.indexOf(text);
  };
  const lines = (entries) => entries.map(([key, set]) => `  '${key}': ${set},`).join('\n');
  const bySuffix = lines(suffixes.map(({ suffix, headers }) => [suffix, setOf(headers)]));
  const byPath = lines(special.map(({ path, headers }) => [`/${path}`, setOf(headers)]));
  const [ofPage, ofOther] = [setOf(page), setOf(other)];
  return `var common = ${JSON.stringify(common)};
var sets = [
${sets.map((set) => `  ${set},`).join('\n')}
];
var byPath = {
${byPath}
};
var bySuffix = {
${bySuffix}
};
function headersOf(path) {
  var dot = path.lastIndexOf('.');
  var suffix = path.slice(dot < 0 ? path.length : dot).toLowerCase();
  var set = Object.prototype.hasOwnProperty.call(byPath, path) ? byPath[path]
    : path.charAt(path.length - 1) === '/' ? ${ofPage}
    : Object.prototype.hasOwnProperty.call(bySuffix, suffix) ? bySuffix[suffix] : ${ofOther};
  return Object.assign({}, common, sets[set]);
}`;
}

/** @param {Rules} rules */
function cloudfront(rules) {
  return `// ${NOTE}
// S3 itself can only set Content-Type and Cache-Control. Make this a CloudFront Function (runtime 2.0) and
// attach it to "viewer response" of the distribution's behaviour, with "Redirect HTTP to HTTPS", a security
// policy of TLSv1.2_2021, index.html as default root object and no public access to the bucket. CloudFront
// does not call it for errors (status 400 and above).
${tableFor(rules)}
function handler(event) {
  var headers = headersOf(event.request.uri);
  for (var name in headers) event.response.headers[name.toLowerCase()] = { value: headers[name] };
  return event.response;
}
`;
}

/** @param {Rules} rules */
function express(rules) {
  return `// ${NOTE}
// app.use(wasmaiHeaders) in front of express.static(folder, { setHeaders: wasmaiType, cacheControl: false }).
${tableFor(rules)}
/** All headers by the request's path. */
export function wasmaiHeaders(request, response, next) {
  var headers = headersOf(request.path);
  for (var name in headers) response.setHeader(name, headers[name]);
  next();
}
/** express.static sets the type of the file anew: set it back. */
export function wasmaiType(response) {
  response.setHeader('Content-Type', headersOf(response.req.path)['Content-Type']);
}
`;
}

// IIS has no headers by ending without the URL Rewrite module: the strictest for all, then file by file.
/** @param {Rules} rules */
function iis({ exact, other, suffixes }) {
  const xml = (text) =>
    text
      .replace(/&/g, '&amp;')
      .replace(/</g, '&lt;')
      .replace(/"/g, '&quot;')
      .replace(/'/g, '&apos;');
  const ours = (headers) => pairs(headers, ['Content-Type']);
  const names = [...new Set(exact.flatMap(({ headers }) => ours(headers).map(([name]) => name)))];
  const add = (space, headers) =>
    ours(headers).map(([name, value]) => `${space}<add name="${name}" value="${xml(value)}" />`);
  const differ = exact.filter(
    ({ headers }) => JSON.stringify(ours(headers)) !== JSON.stringify(ours(other)),
  );
  return [
    '<?xml version="1.0" encoding="utf-8"?>',
    `<!-- ${NOTE}`,
    '     Copy it into the folder. Pages and scripts that you add need a location of their own: without one',
    '     they get the strictest policy and do not run. TLS 1.2 and the redirect are set in the server. -->',
    '<configuration>',
    '  <system.webServer>',
    '    <defaultDocument><files><clear /><add value="index.html" /></files></defaultDocument>',
    '    <directoryBrowse enabled="false" />',
    '    <staticContent>',
    ...suffixes.flatMap(({ suffix, headers }) => [
      `      <remove fileExtension="${suffix}" />`,
      `      <mimeMap fileExtension="${suffix}" mimeType="${headers['Content-Type']}" />`,
    ]),
    '    </staticContent>',
    '    <security><requestFiltering removeServerHeader="true"><hiddenSegments>',
    '      <add segment="headers" /><add segment=".git" />',
    '    </hiddenSegments></requestFiltering></security>',
    '    <httpProtocol><customHeaders>',
    ...['X-Powered-By', ...names].map((name) => `      <remove name="${name}" />`),
    ...add('      ', other),
    '    </customHeaders></httpProtocol>',
    '  </system.webServer>',
    ...differ.flatMap(({ path, headers }) => [
      `  <location path="${xml(path)}"><system.webServer><httpProtocol><customHeaders>`,
      ...names.map((name) => `    <remove name="${name}" />`),
      ...add('    ', headers),
      '  </customHeaders></httpProtocol></system.webServer></location>',
    ]),
    '</configuration>',
    '',
  ].join('\n');
}

/** @param {Rules} rules */
function githubPages({ special }) {
  const workers = special
    .filter(({ headers }) => headers['Content-Security-Policy'] === WORKER_POLICY)
    .map(({ path }) => path);
  return `${NOTE}

GitHub Pages cannot set a header: none, for no file. What follows from that for this folder:

- A worker (${workers.join(', ')}) is served without a Content-Security-Policy. It notices
  and refuses to start (code CSP): a model does not run there in \`isolation: 'worker'\`, and that is meant so.
- \`isolation: 'frame'\` works: the frame's file has its policy in itself, and its workers inherit that.
- A page can only have a <meta http-equiv="Content-Security-Policy"> of its own, where frame-ancestors
  and report-only do nothing. No COOP and COEP, so no threads; no X-Content-Type-Options; no HSTS on a domain of
  your own unless "Enforce HTTPS" is on, and then without a duration of your choice.
- Every file is cached for ten minutes, hashed names too.

What helps: put a host that can set headers in front (Cloudflare with the rules of _headers, CloudFront
with cloudfront-function.js), or publish the same folder there instead.
`;
}
