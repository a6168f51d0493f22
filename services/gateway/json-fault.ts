/** Where and why a text is not JSON, in words that help to find the place; undefined when it is JSON. */
export function jsonFault(text: string): string | undefined {
  const fault = firstFault(text);
  if (fault === undefined) return undefined;
  const before = text.slice(0, fault.position);
  const line = before.split('\n').length;
  const column = fault.position - before.lastIndexOf('\n');
  const found = fault.position >= text.length ? 'it ends too early' : `unexpected ${JSON.stringify([...text.slice(fault.position)][0])}`;
  return `${found}, ${fault.expected} expected, at line ${line}, column ${column} (position ${fault.position})`;
}

interface Fault {
  readonly position: number;
  readonly expected: string;
}

/** A parser that keeps nothing; JSON.parse tells no position for most errors. Without recursion, so no nesting is too deep for it. */
function firstFault(text: string): Fault | undefined {
  const open: ('{' | '[')[] = [];
  let position = 0;
  let fault: Fault | undefined;
  const skip = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = position;
    const found = pattern.exec(text)?.[0];
    position += found?.length ?? 0;
    return found;
  };
  const expect = (pattern: RegExp, expected: string): string | undefined => {
    skip(SPACE);
    const found = skip(pattern);
    if (found === undefined) fault ??= { position, expected };
    return found;
  };
  const key = (): boolean => expect(STRING, 'a key in double quotes') !== undefined && expect(/:/y, "':'") !== undefined;

  for (let wantsValue = true; ; ) {
    if (wantsValue) {
      const start = expect(VALUE, 'a value');
      if (start === undefined) return fault;
      wantsValue = start === '[' || start === '{';
      if (start === '[' || start === '{') {
        open.push(start);
        skip(SPACE);
        if (skip(start === '[' ? /\]/y : /\}/y) !== undefined) {
          open.pop();
          wantsValue = false;
        } else if (start === '{' && !key()) return fault;
      }
      continue;
    }
    const inside = open.at(-1);
    if (inside === undefined) {
      skip(SPACE);
      return position === text.length ? undefined : { position, expected: 'the end' };
    }
    const next = expect(inside === '[' ? /[,\]]/y : /[,}]/y, inside === '[' ? "',' or ']'" : "',' or '}'");
    if (next === undefined) return fault;
    if (next !== ',') open.pop();
    else if (inside === '{' && !key()) return fault;
    else wantsValue = true;
  }
}

const SPACE = /[ \t\r\n]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them in strings.
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/;
/** A whole scalar, or the opening of an object or a list. */
const VALUE = new RegExp(`[{[]|true|false|null|${NUMBER.source}|${STRING.source}`, 'y');
