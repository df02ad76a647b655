// A built folder, served with its policies, and in it the page that runs the tests.
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildDist } from '../../../harness/dist.mjs';
import { serveFolder } from '../../../harness/server/app.mjs';

const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>ONNX tests</title>
<script type="module" src="./page.js"></script></head><body></body></html>
`;

export async function openSite() {
  const folder = await mkdtemp(join(tmpdir(), 'wasm-ai-onnx-'));
  const root = join(folder, 'dist');
  await buildDist({ out: root });
  await writeFile(join(root, 'index.html'), PAGE);
  await writeFile(join(root, 'favicon.ico'), '');
  await copyFile(new URL('./page.js', import.meta.url), join(root, 'page.js'));
  const server = await serveFolder({ folder: root, port: 0 });
  return {
    url: server.url,
    async close() {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
