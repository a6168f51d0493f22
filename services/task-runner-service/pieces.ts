import type { CommitContent, QueueMark } from '@rocketmq-connect/pipeline/host-protocol';
import type { LastCommit } from '@rocketmq-connect/proto/commit';
import type { StoredOffset, QueueMark as StoredQueueMark } from '@rocketmq-connect/proto/storage';

/** What one transaction of a commit stores. */
export interface Piece {
  readonly offsets: StoredOffset[];
  readonly sinkStates: { [name: string]: string };
  readonly marks: readonly QueueMark[];
  readonly topics: readonly string[];
}

export const pieceOffsetsMax = 50;
/** Leaves room for keys, marks and escapes below the store's 1 MiB for a transaction. */
const pieceBytesMax = 400 * 1024;

/**
 * Frozen content as the pieces that are stored one after the other. Only the last carries the new marks: a process that dies between
 * two pieces leaves offsets that the new marks do not allow for, so until then the old ones hold. A sink's states travel
 * with all its positions (a plan gives such a sink at most 50 queues).
 */
export function splitIntoPieces(content: CommitContent, holdingMarks: readonly QueueMark[]): Piece[] {
  const offsets = [
    ...content.offsets.map(({ partition, offset }) => stored({ partitionJson: partition, offsetJson: offset })),
    ...content.positions.map(({ queue, position }) => stored({ queue, position: BigInt(position) })),
  ];
  const groups = Object.keys(content.sinkStates).length > 0 ? [offsets] : divide(offsets);
  return groups.map((group, i) => {
    const last = i === groups.length - 1;
    const rest = last
      ? { sinkStates: { ...content.sinkStates }, marks: content.marks, topics: content.topics }
      : { sinkStates: {}, marks: holdingMarks, topics: [] };
    return { offsets: group, ...rest };
  });
}

/** At least one group, which may be empty. */
function divide(offsets: readonly StoredOffset[]): StoredOffset[][] {
  const groups: StoredOffset[][] = [];
  let group: StoredOffset[] = [];
  let bytes = 0;
  for (const offset of offsets) {
    const size = Buffer.byteLength(offset.partitionJson) + Buffer.byteLength(offset.offsetJson);
    if (group.length === pieceOffsetsMax || (bytes + size > pieceBytesMax && group.length > 0)) {
      groups.push(group);
      group = [];
      bytes = 0;
    }
    group.push(offset);
    bytes += size;
  }
  return [...groups, group];
}

/** Nothing to store: the checkpoint may advance without a commit. */
export function isUnchanged(content: CommitContent, storedMarks: readonly QueueMark[]): boolean {
  return (
    content.offsets.length === 0 &&
    content.positions.length === 0 &&
    Object.keys(content.sinkStates).length === 0 &&
    content.topics.length === 0 &&
    sameMarks(content.marks, storedMarks)
  );
}

export function toStoredMark(mark: QueueMark): StoredQueueMark {
  return { queue: { ...mark.queue }, offset: BigInt(mark.offset), inherited: mark.inherited === true };
}

/** A mark without a queue says nothing and is dropped. */
export function fromStoredMarks(marks: readonly StoredQueueMark[]): QueueMark[] {
  return marks.flatMap(({ queue, offset, inherited }) =>
    queue === undefined ? [] : [{ queue, offset: Number(offset), ...(inherited ? { inherited } : {}) }],
  );
}

/**
 * Where records may be that were sent and not committed. A task that has committed in this generation carries in its own marks what it needs of
 * older ones; before that, any unclean task of an older generation may have had its partitions. Tasks of this generation look after what
 * they sent themselves; but a commit of theirs may have taken the place of an older one, whose marks it then carries on.
 */
export function uncleanMarks(lastCommits: readonly LastCommit[], task: number, generation: string): QueueMark[] {
  const own = lastCommits.find((last) => last.task === task)?.commit;
  const relevant = own?.generation === generation ? [own] : lastCommits.flatMap(({ commit }) => commit ?? []);
  const marks = relevant.flatMap((commit) => {
    if (commit.released) return [];
    const all = fromStoredMarks(commit.marks);
    return commit === own || commit.generation !== generation ? all : all.filter(({ inherited }) => inherited);
  });
  return lowestMarks(marks);
}

/** At most one mark of its own and one inherited mark per queue: the lowest holds for all. */
export function lowestMarks(marks: readonly QueueMark[]): QueueMark[] {
  const lowest = new Map<string, QueueMark>();
  for (const mark of marks) {
    const key = keyOf(mark);
    const known = lowest.get(key);
    if (known === undefined || mark.offset < known.offset) lowest.set(key, mark);
  }
  return [...lowest.values()];
}

function keyOf({ queue, inherited }: QueueMark): string {
  return `${queue.topic}/${queue.broker}/${queue.queue}${inherited ? '/inherited' : ''}`;
}

function sameMarks(one: readonly QueueMark[], other: readonly QueueMark[]): boolean {
  if (one.length !== other.length) return false;
  const text = (marks: readonly QueueMark[]): string =>
    marks
      .map((mark) => `${keyOf(mark)}/${mark.offset}`)
      .sort()
      .join();
  return text(one) === text(other);
}

function stored(what: Partial<StoredOffset>): StoredOffset {
  // The token and the plugin are config-service's to fill in, from what it knows of the owner and the spec.
  return { partitionJson: '', offsetJson: '', queue: undefined, position: 0n, token: 0n, plugin: '', ...what };
}
