import { FatalError } from '@rocketmq-connect/sdk';

/** Invariant 6: thrown instead of a send, a put or a commit once this runner's session may be over. */
export function sessionOver(): FatalError {
  return new FatalError('the session of this runner may be over: nothing more is sent, written or committed', {
    code: 'SESSION_OVER',
    remedy: 'The task runs again where its owner has a session.',
  });
}
