import assert from 'node:assert/strict';
import fc from 'fast-check';
import { jsonFault } from './json-fault.ts';

describe('jsonFault', () => {
  for (const [text, position, words] of [
    ['{bad', 1, /unexpected "b", a key in double quotes expected, at line 1, column 2/],
    ['{\n "a": "b",\n "c": d\n}', 19, /unexpected "d", a value expected, at line 3, column 7/],
    ['', 0, /ends too early, a value expected/],
    ['{"a": ', 6, /ends too early, a value expected/],
    ['{"a": 1,}', 8, /unexpected "}", a key/],
    ['[1 2]', 3, /unexpected "2", ',' or ']' expected/],
    ['{"a" 1}', 5, /':' expected/],
    ['{"a": "x', 6, /unexpected "\\"", a value expected/],
    ['{} {}', 3, /the end expected/],
    ['[1,]', 3, /a value expected/],
    ["{'a': 1}", 1, /unexpected "'"/],
    ['01', 1, /the end expected/],
  ] as const) {
    it(`finds position ${position} in ${JSON.stringify(text)}`, () => {
      const fault = jsonFault(text) ?? assert.fail('it is taken for JSON');
      assert.match(fault, words);
      assert.ok(fault.endsWith(`(position ${position})`), fault);
    });
  }

  it('takes for JSON exactly what JSON.parse takes', () => {
    const broken = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('', ',', '"', '{', ']', '\\', '0', ' ', '\n', 'e', '-', ':'))
      .map(([json, at, insert]) => json.slice(0, at % (json.length + 1)) + insert + json.slice((at % (json.length + 1)) + 1));
    fc.assert(
      fc.property(fc.oneof(fc.json(), broken), (text) => {
        assert.equal(jsonFault(text) === undefined, parses(text), text);
      }),
      { numRuns: 500 },
    );
  });

  it('is not overwhelmed by depth or length', () => {
    assert.match(jsonFault(`{"a": "${'\\n'.repeat(500_000)}", }`) ?? '', /unexpected "}"/);
    assert.match(jsonFault('['.repeat(500_000)) ?? '', /position 500000/);
  });
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
