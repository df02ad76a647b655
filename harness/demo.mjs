// What `npm start` does once everything is built: compile the bundled model, build
// the demo site, serve it, and let a headless browser classify one sample there, in
// the way that a visitor would.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { launchChromium } from './browsers/chromium.mjs';
import { buildDist } from './dist.mjs';
import { compile } from './index.mjs';
import { serveFolder } from './server/app.mjs';
import { localCertificate, spkiOf } from './server/certificate.mjs';
import { cacheRoot, projectDir } from './toolchain/cache.mjs';

const SAMPLE = { file: 'models/digits/samples/real-3.png', label: '3' };
const SITE = join(projectDir, 'build/demo');
const PORT = 8443;
const ANSWER_SECONDS = 60;

const USAGE = `usage: npm start [-- --check] [-- --port NUMBER]
  --check   stop after the first answer; exit 0 only if it is right
  --port    https port (default ${PORT}); http on the next one redirects
`;

/** @param {string[]} args @returns {{ check: boolean, port: number } | null} */
function readArguments(args) {
  const found = { check: false, port: PORT };
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--check') {
      found.check = true;
    } else if (args[i] === '--port' && /^\d{1,5}$/.test(args[i + 1] ?? '')) {
      found.port = Number(args[++i]);
    } else {
      process.stderr.write(
        args[i] === '--help' ? USAGE : `error: ${args[i]}: not understood\n${USAGE}`,
      );
      return null;
    }
  }
  return found;
}

async function buildSite() {
  const folder = join(projectDir, 'build/models');
  const file = join(folder, 'digits.wai');
  const onnx = await readFile(join(projectDir, 'models/digits/digits.onnx'));
  const { bytes } = await compile(onnx, { optimize: true, secure: true });
  await mkdir(folder, { recursive: true });
  await writeFile(file, bytes);
  await buildDist({ out: SITE, models: [file], secure: true, demo: true });
}

/** The sample through the page's own file input; its answer from the page's own text. */
async function classify(chromium, url, cert) {
  const browser = await launchChromium(chromium, [
    `--ignore-certificate-errors-spki-list=${await spkiOf(cert)}`,
  ]);
  try {
    const page = await browser.newPage();
    const complaints = [];
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(url);
    const trouble = page.locator('#trouble:not([hidden])');
    const ready = page.locator('#measure:not([disabled])');
    await ready.or(trouble).waitFor({ timeout: ANSWER_SECONDS * 1000 });
    if (await trouble.count()) throw new Error(await trouble.innerText());
    await page.setInputFiles('#file', join(projectDir, SAMPLE.file));
    await page.waitForFunction(
      () => /^\d$/.test(document.querySelector('#best')?.textContent ?? ''),
      null,
      {
        timeout: ANSWER_SECONDS * 1000,
      },
    );
    await page.click('#measure');
    await page.waitForFunction(
      () => Number(document.querySelector('#runs')?.textContent) >= 100,
      null,
      {
        timeout: ANSWER_SECONDS * 1000,
      },
    );
    const text = (selector) => page.locator(selector).innerText();
    return { answer: await text('#best'), p50: await text('#p50'), complaints };
  } finally {
    await browser.close();
  }
}

/**
 * @param {{ args: string[], chromium: string, step: (text: string) => void }} options
 * @returns {Promise<number>} the exit code; without --check it serves until it is stopped
 */
export async function startDemo({ args, chromium, step }) {
  const wanted = readArguments(args);
  if (!wanted) return args.includes('--help') ? 0 : 2;
  step('compiling models/digits and building the demo site');
  await buildSite();
  const pair = await localCertificate(join(cacheRoot(), 'server'));
  const server = await serveFolder({ folder: SITE, port: wanted.port, ...pair });
  try {
    step(`classifying ${SAMPLE.file} in a headless browser`);
    const { answer, p50, complaints } = await classify(chromium, server.url, pair.cert);
    const right = answer === SAMPLE.label && complaints.length === 0;
    for (const complaint of complaints) process.stderr.write(`the page complains: ${complaint}\n`);
    process.stdout.write(
      `${SAMPLE.file} is a ${answer} (${right ? 'right' : `wrong: it is a ${SAMPLE.label}`}), ` +
        `latency p50 ${p50}\n${server.url}\n`,
    );
    if (wanted.check || !right) return right ? 0 : 1;
    process.stderr.write(
      'The certificate is self-signed: the browser asks once. Stop with Ctrl+C.\n',
    );
    await new Promise((done) => {
      process.once('SIGINT', done);
      process.once('SIGTERM', done);
    });
    return 0;
  } finally {
    await server.close();
  }
}
