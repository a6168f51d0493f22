import { isLoopback } from '@rocketmq-connect/mesh/address';
import { problem } from './problem.ts';

/** Headers of every answer: nothing here is meant to be framed, sniffed, cached or read by other sites. */
export const guardHeaders: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
};

interface Headers {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
}

/**
 * Refuses what a web page of another site can make a browser send: on a loopback bind, requests under another name than the loopback's
 * (DNS rebinding), and everywhere, changes that come from another origin (there is no CORS).
 */
export function checkCaller(method: string, headers: Headers, boundHost: string): void {
  const name = hostName(headers.host ?? '');
  if (name !== '' && isLoopback(boundHost) && !isLoopback(name) && name !== boundHost) {
    throw problem(403, `requests for the host '${name}' are refused: this gateway listens on ${boundHost} only`, {
      field: 'Host',
      remedy: 'use http://localhost or http://127.0.0.1, or let it listen on another address with --bind or --rest-host',
    });
  }
  if (headers.origin === undefined || method === 'GET' || method === 'HEAD') return;
  if (URL.parse(headers.origin)?.host === headers.host) return;
  throw problem(403, `changes from pages of ${headers.origin} are refused`, {
    field: 'Origin',
    remedy: 'send requests from the same origin, or from a program instead of a web page',
  });
}

function hostName(host: string): string {
  return (host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.replace(/:\d*$/, '')).toLowerCase();
}
