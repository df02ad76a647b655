// The sandboxed frame's file: web/frame.js in a page that has its policy in itself, so that it holds on
// any host, and its only script by hash, so that no address of a script is allowed (README.md).
import { createHash } from 'node:crypto';
import { framePolicy } from './server/policies.mjs';

/** @param {string} code @returns {{ html: string, script: string }} the page and its script's hash for the policy */
export function framePage(code) {
  const text = code.trim();
  if (/<\/script|<!--/i.test(text)) throw new Error('a script that ends its own element');
  const script = `sha384-${createHash('sha384').update(text).digest('base64')}`;
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${framePolicy(script)}">
<title>WasmAI</title><script>${text}</script></head></html>
`;
  return { html, script };
}
