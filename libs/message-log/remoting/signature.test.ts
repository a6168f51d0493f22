import assert from 'node:assert/strict';
import { signedFields } from './signature.ts';

describe('The signature of a request', () => {
  it("is the Java client's: values in the order of their names, then the body", () => {
    // AclUtils.calSignature("AK12body", "secret"), of RocketMQ 5.4.0; "AccessKey" comes first here, by its capital.
    const signed = signedFields({ b: '2', a: 1 }, Buffer.from('body'), { accessKey: 'AK', secretKey: 'secret' });
    assert.deepEqual(signed, { b: '2', a: 1, AccessKey: 'AK', Signature: SIGNATURE });
  });

  it('covers a security token', () => {
    const credentials = { accessKey: 'AK', secretKey: 'secret' };
    const signed = signedFields({ a: 1 }, undefined, { ...credentials, securityToken: 'token' });
    assert.equal(signed['SecurityToken'], 'token');
    assert.notEqual(signed['Signature'], signedFields({ a: 1 }, undefined, credentials)['Signature']);
  });
});

const SIGNATURE = 'IDlxAqLz6OiH4UwJN/5MZ0pLPP4=';
