// What is shipped to a browser: one file knows wasm, nothing makes code from text, nothing asks
// another host. And no file of the project names the machine it was made on.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findings, projectFiles, root, text } from './files.mjs';

const web = projectFiles('web').filter(
  (file) => /\.(js|html|css|svg|ts)$/.test(file) && existsSync(join(root, file)),
);
const scripts = web.filter((file) => file.endsWith('.js'));
const shipped = scripts.filter((file) => !file.startsWith('web/demo/'));

test('there is something to look at', () => {
  assert.ok(shipped.length >= 8);
  assert.ok(scripts.length > shipped.length);
});

test('WebAssembly and wasm memory are known to web/engine.js only', () => {
  const wasm = /\bWebAssembly\s*[.[(]|typeof WebAssembly|\bmemory\.buffer\b|\bwai_glue_/;
  assert.deepEqual(
    findings(
      shipped.filter((file) => file !== 'web/engine.js'),
      wasm,
    ),
    [],
  );
  assert.ok(findings(['web/engine.js'], wasm).length > 5);
});

test('no pointer and no live view leaves engine.js, but for helpers: it exports six functions', () => {
  const names = [...text('web/engine.js').matchAll(/^export (.*?)[({=]/gm)].map((row) => row[1]);
  assert.deepEqual(names.sort(), [
    'function beginEngine',
    'function canShareMemory',
    'function compileRuntime',
    'function help',
    'function openEngine',
    'function validates',
  ]);
});

test('nothing makes code from text', () => {
  const found = findings(
    scripts,
    /\beval\s*\(|new Function\b|\bFunction\(|['"`](blob|data):|createObjectURL|set(Timeout|Interval)\(\s*['"`]|document\.write|innerHTML|outerHTML|insertAdjacentHTML|importScripts\(/,
  );
  // The last two the worker tries, to prove that its own policy refuses them.
  assert.deepEqual(
    found.map((line) => line.replace(/:\d+:/, '')),
    [
      // The frame's workers have no other way to start.
      "web/frame.js const address = URL.createObjectURL(new Blob([data.source], { type: 'text/javascript' }));",
      "web/lockdown.js globalThis.eval('0');",
      "web/lockdown.js escapes: () => importSource('data:text/javascript,').then(() => true),",
    ],
  );
});

test('nothing names another host', () => {
  const url = /(?:https?|wss?):\/\/(?!www\.w3\.org\/)[\w.-]+|\b(?:src|href)=["']\/\//;
  const found = web.flatMap((file) =>
    text(file)
      .split('\n')
      .flatMap((line, i) =>
        url.test(line.replace('http://localhost)', '')) ? [`${file}:${i + 1}: ${line.trim()}`] : [],
      ),
  );
  assert.deepEqual(found, []);
});

test('the page has no inline script, no inline style, no handler in an attribute', () => {
  const pages = web.filter((file) => file.endsWith('.html'));
  assert.ok(pages.length > 0);
  for (const file of pages) {
    assert.doesNotMatch(text(file), /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:/i);
  }
});

test('no file names a registry, a mirror or a CDN', () => {
  const files = projectFiles().filter(
    (file) =>
      !/\.(png|jpg|onnx|wai|npy|pb|ico)$/.test(file) &&
      !file.startsWith('tests/rules/') &&
      existsSync(join(root, file)),
  );
  const host =
    /registry\.npmjs|\b(unpkg|jsdelivr|cdnjs|skypack|esm\.sh)\b|deb\.debian\.org|snapshot\.debian|"resolved": "http|huggingface\.co|googleapis|pypi\.org|artifactory|nexus\./i;
  const found = files.flatMap((file) => {
    const match = host.exec(text(file));
    return match ? [`${file}: ${match[0]}`] : [];
  });
  assert.deepEqual(found, []);
});
