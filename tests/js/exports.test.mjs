// The judge of `npm run exports`: what is right passes, and what is wrong does not.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { play } from '../../harness/exports/play.mjs';
import { writeNpy } from '../../harness/writers/npy.mjs';
import { addRelu, folderFor, noCompiler } from './cli_support.mjs';

const skip = noCompiler;

/** What export.py would write: relu(x + [1 -1 2 -2]) of zeros, then of that, then of that again. */
function exportFolder(t, { second = [2, 0, 4, 0], dims = [1, 4] } = {}) {
  const folder = folderFor(t);
  const put = (file, values, of = [1, 4]) => {
    const tensor = { dtype: 'float32', dims: of, data: Float32Array.from(values) };
    writeFileSync(join(folder, file), writeNpy(tensor));
    return { file };
  };
  const fed = { carry: 'y:0' };
  const cases = [
    { x: put('in.npy', [0, 0, 0, 0]), y: put('0.npy', [1, 0, 2, 0]) },
    { x: fed, y: put('1.npy', second, dims) },
    { x: fed, y: put('2.npy', [3, 0, 6, 0]) },
  ].map(({ x, y }) => ({ dims: { batch: 1 }, inputs: { x }, outputs: { 'y:0': y } }));
  writeFileSync(join(folder, 'model.onnx'), addRelu('batch'));
  const meta = { tolerance: 1e-4, ranges: {}, cases };
  writeFileSync(join(folder, 'cases.json'), JSON.stringify(meta));
  return play(folder, { runner: 'node', repeat: 2, ranges: false });
}

test('cases with what is fed back', { skip }, async (t) => {
  const { wrong, error, packages, steps } = await exportFolder(t);
  assert.deepEqual([wrong, error, packages], [[], 0, 1]);
  assert.ok(steps > 0);
});

test('the error is a share of the range, and at most the tolerance', { skip }, async (t) => {
  const close = await exportFolder(t, { second: [2, 0, 4.0003, 0] });
  assert.deepEqual(close.wrong, []);
  assert.ok(Math.abs(close.error - 0.0003 / 4.0003) < 1e-7, `${close.error}`);
  assert.equal(close.worst, 'y:0 of case 1');
  const far = await exportFolder(t, { second: [2, 0, 4.0005, 0] });
  assert.equal(far.wrong.length, 1);
  assert.match(far.wrong[0], /^y:0 of case 1: element 2 is 4, expected 4\.0005/);
});

test('NaN and other dims are wrong', { skip }, async (t) => {
  const nan = await exportFolder(t, { second: [2, Number.NaN, 4, 0] });
  assert.match(nan.wrong[0], /element 1 is 0, expected NaN/);
  const flat = await exportFolder(t, { dims: [4] });
  assert.match(flat.wrong[0], /is float32 \[1, 4\], expected float32 \[4\]/);
});
