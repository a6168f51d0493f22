import { createHmac } from 'node:crypto';

export interface Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
  /** Of temporary credentials. */
  readonly securityToken?: string;
}

/**
 * ACL of RocketMQ (org.apache.rocketmq.acl.common.AclUtils): HMAC-SHA1 over the values of all fields in the order of their names, the
 * access key among them, followed by the body; base64 in the field `Signature`.
 */
export function signedFields(
  fields: Readonly<Record<string, string | number | boolean>>,
  body: Buffer | undefined,
  credentials: Credentials,
): Record<string, string | number | boolean> {
  const signed: Record<string, string | number | boolean> = { ...fields, AccessKey: credentials.accessKey };
  if (credentials.securityToken !== undefined) signed['SecurityToken'] = credentials.securityToken;
  const hmac = createHmac('sha1', credentials.secretKey);
  for (const name of Object.keys(signed).sort()) hmac.update(String(signed[name]));
  if (body !== undefined) hmac.update(body);
  signed['Signature'] = hmac.digest('base64');
  return signed;
}
