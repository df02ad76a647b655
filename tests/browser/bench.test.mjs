// `wasm-ai bench` from end to end: seconds in Chromium, figures that are there, answers that agree.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { moduleFolders } from '../../harness/bench/peers/index.mjs';
import { browserMissing } from '../../harness/toolchain/browsers.mjs';
import { cli, folderFor } from '../js/cli_support.mjs';
import { smallNet } from '../js/small_net.mjs';

const DIGITS = new URL('../../models/digits/digits.onnx', import.meta.url).pathname;
const skip = browserMissing('chromium');
const noPeers =
  !existsSync(`${moduleFolders()[0]}onnxruntime-web`) &&
  'the peers are not installed: npm ci --prefix harness/bench (250 MB)';

const FEW = ['--rounds', '1', '--runs', '5', '--json'];

test('a package alone: runs, a visit, its download', { skip }, async (t) => {
  const pack = join(folderFor(t), 'digits.wai');
  assert.equal((await cli('compile', DIGITS, '--optimize', '-o', pack)).code, 0);
  const { code, out, err } = await cli('bench', pack, ...FEW, '--visits', '1');
  assert.equal(code, 0, err);
  const { machine, models } = JSON.parse(out);
  assert.match(machine.browser, /^chromium \d/);
  const [{ steady, visits, mflop }] = models;
  const [{ threads, peers }] = steady;
  // The one that the browser chose, and where that is relaxed, the exact one besides.
  const variants = peers.map(({ info }) => info.variant);
  assert.ok(['simd', 'relaxed,simd'].includes(String(variants)), String(variants));
  assert.deepEqual([threads, peers[0].times[0].length], [1, 5]);
  assert.ok(peers[0].times[0].every((time) => time > 0) && mflop > 4);
  const [{ cold, warm, download }] = visits[0].peers;
  assert.ok(cold[0].answerMs >= cold[0].createMs + cold[0].firstRunMs);
  assert.ok(
    warm[0].requests < download.files.length,
    'what has a hash in its name is not asked for twice',
  );
  assert.ok(download.code.brotli < download.code.gzip && download.code.gzip < 100_000);
  assert.ok(cold[0].highWater > cold[0].memoryBytes);
});

test('all peers agree on one net, and the report needs no other file', {
  skip: skip || noPeers,
}, async (t) => {
  const folder = folderFor(t);
  const [net, html] = ['net.onnx', 'report.html'].map((name) => join(folder, name));
  writeFileSync(net, smallNet());
  const against = 'onnxruntime-web,tfjs,litert';
  const { code, out, err } = await cli('bench', net, ...FEW, '--visits', '0', '--against', against, '--report', html); // biome-ignore format: a command line
  assert.equal(code, 0, err);
  const [{ peers, notes }] = JSON.parse(out).models[0].steady;
  assert.deepEqual(notes, []);
  const others = peers.map(({ id }) => id).filter((id) => !id.startsWith('wasmai'));
  assert.deepEqual(others, against.split(','));
  for (const { label, relativeError } of peers) assert.ok(relativeError < 1e-6, label);
  assert.equal(peers.at(-1).info.accelerated, true);
  const text = readFileSync(html, 'utf8');
  assert.doesNotMatch(text, /<(?:script|link|img)[^>]+(?:src|href)=/);
  assert.match(text, /"label":"LiteRT\.js"/);
});
