import { ConnectError, type ErrorContext } from '@rocketmq-connect/sdk';

/** What a broker or a proxy does not let us do. Only what it says tells why: RocketMQ 4 and 5 have one code for all of it, and words of their own. */
export function denied(text: string, said: string, cause?: unknown): ConnectError {
  const reason = REASONS.find(({ words }) => words.test(said)) ?? PERMISSION;
  return new ConnectError('denied', text, { ...reason.context, cause });
}

interface Reason {
  readonly words: RegExp;
  readonly context: ErrorContext;
}

const REASONS: readonly Reason[] = [
  {
    words: /signature/i,
    context: {
      code: 'BROKER_UNAUTHENTICATED',
      field: 'rocketmq.secretKey',
      remedy: 'The secret is not that of the access key: correct what rocketmq.secretKey refers to, and restart.',
    },
  },
  {
    words: /username cannot be null|User:\S* is not found|access ?key (is )?null|no access ?key|no acl config/i,
    context: {
      code: 'BROKER_UNAUTHENTICATED',
      field: 'rocketmq.accessKey',
      remedy: 'Give an access key that the brokers know (rocketmq.accessKey), and its secret (rocketmq.secretKey).',
    },
  },
  {
    words: /no permission to access|default permission|no matched policies/i,
    context: {
      code: 'BROKER_NO_PERMISSION',
      field: 'rocketmq.accessKey',
      remedy: 'Grant it to the access key: docs/rocketmq.md, "Access keys", says what is needed.',
    },
  },
];

const PERMISSION: Reason = {
  words: /permission/,
  context: {
    code: 'BROKER_NO_PERMISSION',
    remedy: 'Check access key and secret key, what they are granted for this topic and group, and the permission of the topic.',
  },
};
