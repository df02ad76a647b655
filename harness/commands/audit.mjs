// audit DIR, URL, FILE.wasm or FILE.wai: what it lets through, and how to mend it.
import { WasmAIError } from '../../web/errors.js';
import { HOST_WORDS, SEVERITIES } from '../audit/findings.mjs';
import { audit } from '../audit/index.mjs';
import { readConfig } from '../config.mjs';
import { tableText } from '../io.mjs';
import { readPublicKey } from '../signing.mjs';
import { collect } from './options.mjs';

export const name = 'audit';
export const summary = 'report the attack surface of a folder, a site, a wasm file or a package';
export const description =
  'Say what a folder, a live site, a wasm file or a package lets through: imports, memory, policies, ' +
  'headers, scripts, integrity, transport; what each weakness allows and how to mend it. No score. ' +
  'Exit code 1 if a finding is at or above --fail-on.';
export const example = `wasm-ai audit dist
wasm-ai audit https://example.org/ --fail-on low --host nginx
wasm-ai audit https://example.org/ --key release.pub.pem
wasm-ai audit node_modules/some-package/dist --json`;

export function configure(command) {
  command
    .argument('<target>', 'folder, http(s) address, .wasm or .wai file')
    .option('--fail-on <severity>', `exit 1 at or above: ${SEVERITIES.join(', ')}`, 'high')
    .option(
      '--key <file>',
      'public key, PEM: everything must be signed by it; repeat for several',
      collect,
    )
    .option('--host <name>', `say fixes for: ${Object.keys(HOST_WORDS).join(', ')}`);
}

/** Server header -> host. @type {[RegExp, string][]} */
const SERVERS = [
  [/nginx/i, 'nginx'],
  [/apache/i, 'apache'],
  [/caddy/i, 'caddy'],
  [/netlify|cloudflare/i, 'netlify'],
  [/vercel/i, 'vercel'],
  [/cloudfront|amazons3/i, 'cloudfront'],
  [/iis/i, 'iis'],
  [/github/i, 'github-pages'],
];

export async function run([target], options, io) {
  const failOn = options.failOn ?? 'high';
  if (!SEVERITIES.includes(failOn)) {
    const why = `must be one of ${SEVERITIES.join(', ')}, not "${failOn}"`;
    throw new WasmAIError('ARGUMENT', '--fail-on', why);
  }
  if (options.host !== undefined && !Object.hasOwn(HOST_WORDS, options.host)) {
    const why = `must be one of ${Object.keys(HOST_WORDS).join(', ')}, not "${options.host}"`;
    throw new WasmAIError('ARGUMENT', '--host', why);
  }
  const { MAX_HEAP_SIZE } = readConfig({});
  const keys = await Promise.all((options.key ?? []).map(readPublicKey));
  const report = await audit(target, { maxHeapMB: MAX_HEAP_SIZE, keys });
  const host =
    options.host ?? SERVERS.find(([pattern]) => pattern.test(report.facts.server ?? ''))?.[1];
  io.json(report);
  io.out(reportText(report, host, io));
  const bad = report.findings.some(
    ({ severity }) => SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(failOn),
  );
  return bad ? 1 : 0;
}

const MOST_PLACES = 4;
const COLOURS = { high: 'red', medium: 'yellow', low: 'dim' };

function reportText({ target, kind, facts, findings }, host, io) {
  const lines = [`${io.paint('bold', target)}  ${kind}`, factsText(facts)];
  if (findings.length === 0) lines.push('nothing found');
  for (const { id, severity, where, allows, fix, hosts } of findings) {
    const more = where.length > MOST_PLACES ? [`and ${where.length - MOST_PLACES} more`] : [];
    const rows = [
      ['where', [...where.slice(0, MOST_PLACES), ...more].join('; ')],
      ['allows', allows],
      ['fix', fix],
      ...(host && hosts ? [[host, hosts[host]]] : []),
    ];
    lines.push(`${io.paint(COLOURS[severity], severity.padEnd(6))}  ${id}\n${tableText(rows)}`);
  }
  const count = (severity) => findings.filter((finding) => finding.severity === severity).length;
  lines.push(
    [...SEVERITIES]
      .reverse()
      .map((severity) => `${count(severity)} ${severity}`)
      .join(', '),
  );
  return lines.filter(Boolean).join('\n');
}

function factsText({ wasm = {}, packages = {}, certificate, integrity }) {
  const rows = [];
  for (const [path, module] of Object.entries(wasm)) {
    if (!module) continue;
    const functions = module.imports.filter((text) => text.endsWith(' function')).length;
    const memory = module.memory
      .map(({ min, max, imported }) => `${imported ? 'imported ' : ''}${min}..${max ?? ''} pages`)
      .join(', ');
    const said = `${functions} function imports, ${module.exports.length} exports, memory ${memory || 'none'}`;
    rows.push([path, `${said}, ${module.metered ? 'metered' : 'not metered'}`]);
  }
  for (const [path, { peakSize, stepCount, encrypted }] of Object.entries(packages)) {
    const what = encrypted
      ? `package, encrypted for key ${encrypted}`
      : `package, peak ${peakSize} bytes, ${stepCount} steps`;
    rows.push([path, what]);
  }
  if (integrity) {
    const { files, signature } = integrity;
    const signed = signature
      ? `, signed: version ${signature.version}, key ${signature.keyId}${signature.trusted ? ', trusted' : ''}`
      : '';
    rows.push(['manifest', `${files} files with SHA-384${signed}`]);
  }
  if (certificate)
    rows.push(['certificate', `${certificate.days} days left, by ${certificate.issuer}`]);
  return rows.length ? tableText(rows) : '';
}
