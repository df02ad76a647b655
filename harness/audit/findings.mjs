// Every finding that `wasm-ai audit` can make: how bad, what it allows, what to do. A row that no test
// provokes fails tests/js/audit.test.mjs.
import { EVERY, HSTS, KINDS, WORKER_POLICY } from '../server/policies.mjs';

/** @typedef {'low' | 'medium' | 'high'} Severity */
/** @type {Severity[]} */
export const SEVERITIES = ['low', 'medium', 'high'];

/**
 * header, value: the header that mends it, said in the words of each host.
 * @typedef {{ severity: Severity, allows: string, fix: string, header?: string, value?: string }} Row
 */

const PAGE = KINDS.find(({ name }) => name === 'page')?.headers ?? {};
const CSP = 'Content-Security-Policy';

/** @type {Record<string, Row>} */
export const FINDINGS = {
  // wasm
  'wasm-invalid': {
    severity: 'medium',
    allows:
      'no valid module for this engine: damaged, something else, or of newer wasm than it knows; not looked at',
    fix: 'compare its hash; audit again with a newer Node',
  },
  'wasm-function-imports': {
    severity: 'medium',
    allows:
      'sandboxed code calls these functions of the page or worker with any arguments, at any time',
    fix: 'link without host functions (a runtime of `wasm-ai build` imports its memory only)',
  },
  'wasm-eval-import': {
    severity: 'high',
    allows: 'the module can run script that it brings along as text: the sandbox has no wall',
    fix: 'link without EM_ASM, EM_JS and emscripten_run_script',
  },
  'wasm-memory-unbounded': {
    severity: 'medium',
    allows: 'one hostile model makes the tab take up to 4 GiB',
    fix: 'link with a maximum memory, or import a memory that the loader sizes',
  },
  'wasm-table-exposed': {
    severity: 'low',
    allows: 'script that reaches the instance can replace what indirect calls of the module run',
    fix: 'do not export or import the function table',
  },
  'wasm-start': {
    severity: 'low',
    allows:
      'code runs at instantiation and may call host functions, before the loader can set a limit',
    fix: 'link without a start function (--no-entry, no constructors)',
  },
  'wasm-not-metered': {
    severity: 'low',
    allows: 'an endless loop runs until somebody ends the worker',
    fix: 'use a metered runtime (`wasm-ai build --secure`), and a deadline in any case',
  },
  // packages
  'package-damaged': {
    severity: 'high',
    allows: 'the bytes differ from the hashes that they carry: changed or cut after compiling',
    fix: 'compile the model again, or fetch the package again',
  },
  'package-unsigned': {
    severity: 'low',
    allows: 'whoever can replace the file chooses the model: its own digest proves no origin',
    fix: 'sign it (`wasm-ai sign`), ship it by `wasm-ai build --model`, which pins it in the loader, or give load() its sha384',
  },
  'signature-mismatch': {
    severity: 'high',
    allows:
      'this signature is not of the file beside it: a page that asks for one refuses the file',
    fix: 'deploy file and signature of one build together, or `wasm-ai sign` again',
  },
  'signature-missing': {
    severity: 'medium',
    allows: 'a page that asks for a signature refuses the file, one that does not takes any',
    fix: '`wasm-ai sign`, and deploy NAME.jws beside it',
  },
  'signature-untrusted': {
    severity: 'high',
    allows: 'none of the given keys made this signature: somebody else signed, or it was changed',
    fix: 'find out who signed; deploy what you signed, or give the right --key',
  },
  'package-over-cap': {
    severity: 'medium',
    allows: 'the model needs more memory than MAX_HEAP_SIZE allows: it will not load',
    fix: 'raise MAX_HEAP_SIZE or use a smaller model',
  },
  // integrity
  'integrity-no-manifest': {
    severity: 'medium',
    allows: 'nothing says which bytes are the right ones: a changed wasm or script goes unnoticed',
    fix: 'make the folder with `wasm-ai build`, or pin each file (SRI, sha384 in the loader)',
  },
  'integrity-mismatch': {
    severity: 'high',
    allows: 'the file is not the one that was built: damaged or changed by somebody',
    fix: 'deploy the built folder again and find out who changed it',
  },
  'integrity-missing-file': {
    severity: 'medium',
    allows: 'the manifest names a file that is not there: the site fails where it is needed',
    fix: 'deploy the whole folder',
  },
  'integrity-unlisted': {
    severity: 'medium',
    allows: 'a wasm module or package that the build does not know and the loader does not check',
    fix: 'build it into the folder, or remove it',
  },
  'integrity-unpinned': {
    severity: 'medium',
    allows: 'whoever can change this file on the server or in a cache decides what runs',
    fix: 'build with `wasm-ai build`, which pins hashes in the loader',
  },
  'html-no-integrity': {
    severity: 'medium',
    allows: 'the other host decides what script runs in this page, today and later',
    fix: 'serve the script yourself, or add integrity="sha384-..." crossorigin',
  },
  'headers-stale': {
    severity: 'medium',
    allows:
      'the header files are not what this version writes for this folder: weaker ones may be live',
    fix: 'run `wasm-ai build` again and deploy its header files',
  },
  // scripts
  'script-eval': {
    severity: 'medium',
    allows:
      "text becomes code; the page must allow 'unsafe-eval', and then an injection runs anything",
    fix: "remove it, or serve a policy without 'unsafe-eval' so that it cannot run",
  },
  'script-blob': {
    severity: 'medium',
    allows:
      'code from strings as blob: workers or scripts: the policy must allow blob:, for everybody',
    fix: 'use a worker file of your own by its URL',
  },
  'script-module-worker': {
    severity: 'low',
    allows:
      "Chromium holds a module worker's static imports against the page's policy, not the worker's",
    fix: 'bundle the worker into one classic script',
  },
  'http-address': {
    severity: 'medium',
    allows:
      'what comes over http can be read and changed on its way; browsers block it in pages of https',
    fix: 'serve the file yourself, over https',
  },
  'script-cdn': {
    severity: 'medium',
    allows: 'code or wasm is fetched from another host, which decides what it is',
    fix: 'serve the file yourself and name it relative to the script',
  },
  'script-absolute-url': {
    severity: 'low',
    allows: 'the script knows other hosts: it may tell them who visits',
    fix: "use relative addresses; connect-src 'self' stops the rest",
  },
  'script-html-sink': {
    severity: 'low',
    allows: 'text becomes markup (innerHTML and the like): with hostile text it is an injection',
    fix: "use textContent; enforce Trusted Types: require-trusted-types-for 'script'",
  },
  'html-inline-script': {
    severity: 'medium',
    allows: "the page needs 'unsafe-inline', a nonce or a hash; with the first an injection runs",
    fix: 'move the script into a file',
  },
  // policies
  'headers-unknown': {
    severity: 'medium',
    allows: 'the folder does not say what headers it is served with: perhaps none',
    fix: 'make it with `wasm-ai build`, which writes header files, and audit the live URL too',
  },
  'csp-missing': {
    severity: 'high',
    allows: 'an injection runs any script and sends anything anywhere',
    fix: 'send a Content-Security-Policy',
    header: CSP,
    value: "default-src 'none'; script-src 'self'; connect-src 'self'",
  },
  'csp-report-only': {
    severity: 'high',
    allows: 'violations are told, not stopped',
    fix: 'send it as Content-Security-Policy',
    header: CSP,
    value: 'the same policy',
  },
  'csp-unsafe-inline': {
    severity: 'high',
    allows: 'script that is injected into the markup runs',
    fix: "take 'unsafe-inline' out of script-src; scripts into files, or nonces",
  },
  'csp-unsafe-eval': {
    severity: 'high',
    allows: 'strings become code: eval, Function, timers with text',
    fix: "take 'unsafe-eval' out; wasm needs 'wasm-unsafe-eval' only, and only in the worker",
  },
  'csp-any-source': {
    severity: 'high',
    allows: 'script from any host, or from data: addresses, may run',
    fix: "name the sources: script-src 'self'",
  },
  'csp-blob': {
    severity: 'medium',
    allows: 'an injection that can make a Blob has a script or a worker with it',
    fix: "take blob: out of script-src and worker-src; use a worker file: worker-src 'self'",
  },
  'csp-wasm-on-page': {
    severity: 'low',
    allows:
      'the page itself may compile wasm, an injection too; a worker with a policy of its own is enough',
    fix: "take 'wasm-unsafe-eval' out of the page's policy, keep it in the worker's",
  },
  'csp-connect-any': {
    severity: 'low',
    allows: 'what the page knows can be sent to any host',
    fix: "connect-src 'self'",
  },
  'csp-frame-any': {
    severity: 'low',
    allows:
      'an injection can put any site into the page, and send to it what it knows by the address',
    fix: "add frame-src 'none', or the very address of the frame (`wasm-ai build --secure` does)",
  },
  'csp-base-uri': {
    severity: 'low',
    allows: 'an injected <base> turns all relative addresses of scripts to another host',
    fix: "add base-uri 'none' (`wasm-ai build --secure` does)",
  },
  'csp-form-action': {
    severity: 'low',
    allows: 'an injected form sends what is typed to any host',
    fix: "add form-action 'none' (`wasm-ai build --secure` does)",
  },
  'csp-framing': {
    severity: 'low',
    allows: 'any site can show this one in a frame and lead the clicks',
    fix: "add frame-ancestors 'none'",
    header: 'X-Frame-Options',
    value: 'DENY',
  },
  'trusted-types-missing': {
    severity: 'low',
    allows: 'text may become markup or a script address anywhere in the page',
    fix: "add require-trusted-types-for 'script'; trusted-types wasm-ai (`wasm-ai build --secure` does)",
  },
  'trusted-types-any': {
    severity: 'low',
    allows: 'any script may make a Trusted Types policy that lets everything through',
    fix: 'name the policies: trusted-types wasm-ai',
  },
  'script-no-policy': {
    severity: 'medium',
    allows: 'the script can be started as a worker, and that worker has no policy at all',
    fix: "send default-src 'none' with every script that is not a worker",
    header: CSP,
    value: "default-src 'none'",
  },
  'worker-no-policy': {
    severity: 'high',
    allows:
      'the worker has no policy, however strict the page is: a model that breaks out has the network',
    fix: "send the worker's own policy with its file",
    header: CSP,
    value: WORKER_POLICY,
  },
  'worker-network': {
    severity: 'high',
    allows: 'code in the worker may fetch and send',
    fix: "the worker's policy starts with default-src 'none'",
    header: CSP,
    value: WORKER_POLICY,
  },
  'worker-eval': {
    severity: 'high',
    allows: 'text becomes code in the worker: what a hostile model writes, script may run',
    fix: "take 'unsafe-eval' out; wasm needs 'wasm-unsafe-eval' only",
    header: CSP,
    value: WORKER_POLICY,
  },
  'worker-nested': {
    severity: 'high',
    allows: 'the worker may start another from a file that has no policy at all',
    fix: 'leave worker-src out; for threads, name the very file of the worker and no other',
    header: CSP,
    value: WORKER_POLICY,
  },
  'worker-self': {
    severity: 'high',
    allows: 'the worker may import scripts and start a nested worker that has no policy',
    fix: "leave only 'wasm-unsafe-eval' in the worker's script-src",
    header: CSP,
    value: WORKER_POLICY,
  },
  'worker-blocks-wasm': {
    severity: 'medium',
    allows: 'no runtime of anybody works: the page policy is sent on the worker too',
    fix: 'send policies by file, not one for all',
    header: CSP,
    value: WORKER_POLICY,
  },
  'frame-policy': {
    severity: 'high',
    allows:
      'workers in the sandboxed frame have what its policy lets through: a model that breaks out has it too',
    fix: "deploy the frame's file as it was built: its policy is in it",
  },
  // other headers
  'coop-missing': {
    severity: 'low',
    allows: 'windows of other sites keep a handle on this one; no threads',
    fix: 'send it with pages',
    header: 'Cross-Origin-Opener-Policy',
    value: PAGE['Cross-Origin-Opener-Policy'],
  },
  'coep-missing': {
    severity: 'low',
    allows: 'files of others come into the same process; no threads',
    fix: 'send it with pages and workers',
    header: 'Cross-Origin-Embedder-Policy',
    value: PAGE['Cross-Origin-Embedder-Policy'],
  },
  'corp-missing': {
    severity: 'low',
    allows: 'other sites may embed these files and learn of them by side channels',
    fix: 'send it with every file',
    header: 'Cross-Origin-Resource-Policy',
    value: EVERY['Cross-Origin-Resource-Policy'],
  },
  'cors-any': {
    severity: 'low',
    allows: 'any site may read these files, models among them',
    fix: 'do not send Access-Control-Allow-Origin: *',
  },
  'nosniff-missing': {
    severity: 'low',
    allows: 'a browser may take a file for a script that was not meant as one',
    fix: 'send it with every file',
    header: 'X-Content-Type-Options',
    value: EVERY['X-Content-Type-Options'],
  },
  'mime-wrong': {
    severity: 'medium',
    allows:
      'browsers refuse the file, or compile wasm slowly; a missing file may be answered by a page',
    fix: 'wasm: application/wasm; scripts: text/javascript; packages: application/octet-stream',
  },
  'referrer-missing': {
    severity: 'low',
    allows: 'other hosts learn the address of the page',
    fix: 'send it with pages',
    header: 'Referrer-Policy',
    value: EVERY['Referrer-Policy'],
  },
  'permissions-missing': {
    severity: 'low',
    allows: 'an injection may ask for camera, microphone and place in your name',
    fix: 'send it with pages',
    header: 'Permissions-Policy',
    value: PAGE['Permissions-Policy'],
  },
  'hsts-missing': {
    severity: 'low',
    allows: 'the first visit may be answered by somebody else over http',
    fix: 'send it over https',
    header: 'Strict-Transport-Security',
    value: HSTS['Strict-Transport-Security'],
  },
  'cache-immutable': {
    severity: 'medium',
    allows:
      'visitors keep this file for ever, security fixes do not reach them: its name has no hash',
    fix: 'immutable only for names with a hash',
    header: 'Cache-Control',
    value: 'no-cache',
  },
  'version-told': {
    severity: 'low',
    allows: 'the server tells its version: attackers look up what it is open to',
    fix: 'nginx: server_tokens off; Apache: ServerTokens Prod; express: disable x-powered-by',
  },
  // what should not be there
  'exposed-key': {
    severity: 'high',
    allows: 'everybody can fetch a private key or a file of secrets',
    fix: 'remove it from the folder and replace the key',
  },
  'exposed-hidden': {
    severity: 'medium',
    allows: 'hidden files (.git and the like) tell sources and history',
    fix: 'do not deploy them',
  },
  'exposed-map': {
    severity: 'low',
    allows: 'source maps tell the sources',
    fix: 'do not deploy *.map',
  },
  // transport
  'http-plain': {
    severity: 'high',
    allows: 'anybody on the way reads and changes everything; no worker policy can be trusted',
    fix: 'serve over https',
  },
  'http-no-redirect': {
    severity: 'medium',
    allows: 'visitors who type the name without https stay on http',
    fix: 'answer http with a redirect to https',
  },
  'tls-old': {
    severity: 'medium',
    allows: 'TLS 1.0 or 1.1 is taken, whose protection is broken',
    fix: 'nginx: ssl_protocols TLSv1.2 TLSv1.3; Apache: SSLProtocol -all +TLSv1.2 +TLSv1.3',
  },
  'cert-expired': {
    severity: 'high',
    allows: 'browsers refuse the site, or visitors learn to click warnings away',
    fix: 'renew the certificate',
  },
  'cert-ends-soon': {
    severity: 'low',
    allows: 'the certificate ends within three weeks',
    fix: 'renew it, and let that happen by itself (ACME)',
  },
  'cert-too-long': {
    severity: 'low',
    allows:
      'a certificate for more than 398 days: browsers refuse public ones, a lost key lives on',
    fix: 'take one for 90 days and renew it automatically',
  },
  'cert-untrusted': {
    severity: 'medium',
    allows: 'nobody vouches for the certificate: an attacker can show one as good',
    fix: 'take one from a public authority, or make yours known to your clients',
  },
};

/** One header in the words of each host. @type {Record<string, (header: string, value: string) => string>} */
export const HOST_WORDS = {
  nginx: (header, value) => `add_header ${header} "${value}" always;`,
  apache: (header, value) => `Header always set ${header} "${value}"`,
  caddy: (header, value) => `header ${header} "${value}"`,
  netlify: (header, value) => `_headers, below the path:   ${header}: ${value}`,
  vercel: (header, value) => `vercel.json: ${JSON.stringify({ key: header, value })}`,
  firebase: (header, value) => `firebase.json: ${JSON.stringify({ key: header, value })}`,
  cloudfront: (header, value) =>
    `event.response.headers['${header.toLowerCase()}'] = { value: "${value}" };`,
  iis: (header, value) => `<add name="${header}" value="${value}" />`,
  express: (header, value) => `response.setHeader('${header}', "${value}");`,
  'github-pages': () => 'GitHub Pages cannot send headers: put a host that can in front',
};
