import assert from 'node:assert/strict';
import { parseProperties } from './properties-file.ts';

describe('properties file', () => {
  it('reads what Java reads: comments, separators, blanks, continued lines and escapes', () => {
    const text = [
      '# a comment',
      '  ! another = one',
      '',
      'name=local-file-source',
      '  tasks.max : 1\r',
      'topic connect-test',
      'list = a,\\',
      '    b,\\',
      '  # no comment',
      'path=C:\\\\data\\\\in.txt',
      'ends.with.backslash=a\\\\',
      'a\\=b\\ c=d=e:f ',
      'tab=\\t|\\u00e9|\\q',
      'empty=',
      'alone',
    ].join('\n');
    assert.deepEqual(parseProperties(text), {
      name: 'local-file-source',
      'tasks.max': '1',
      topic: 'connect-test',
      list: 'a,b,# no comment',
      path: 'C:\\data\\in.txt',
      'ends.with.backslash': 'a\\',
      'a=b c': 'd=e:f ',
      tab: '\t|é|q',
      empty: '',
      alone: '',
    });
  });
});
