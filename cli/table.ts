import CliTable from 'cli-table3';

/** Rows under a heading, columns aligned, without drawn lines: readable, and cut by `awk`. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const empty = {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
  };
  const none = { ...empty, left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' };
  const drawn = new CliTable({
    head: head.map((name) => name.toUpperCase()),
    chars: none,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  drawn.push(...rows.map((row) => [...row]));
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
