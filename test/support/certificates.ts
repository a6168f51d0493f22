import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** PEM files of a certificate, and of the authority that signed it. */
export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Makes an authority and one certificate, by the openssl command, as `ca.pem`, `cert.pem` and `key.pem` in a folder. */
export async function createCertificates(folder: string, names = 'IP:127.0.0.1,IP:::1,DNS:localhost'): Promise<Certificates> {
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: folder });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl('req', '-x509', ...newKey, '-keyout', 'ca-key.pem', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test authority');
  await openssl('req', ...newKey, '-keyout', 'key.pem', '-out', 'request.pem', '-subj', '/CN=mesh');
  writeFileSync(at('extensions'), `subjectAltName=${names}\n`);
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '2', '-extfile', 'extensions'];
  await openssl('x509', '-req', '-in', 'request.pem', '-out', 'cert.pem', ...signing);
  return { ca: at('ca.pem'), cert: at('cert.pem'), key: at('key.pem') };
}
