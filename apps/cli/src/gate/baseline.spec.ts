import { join } from 'node:path';
import { gateRuns } from '../test/gate-runs';
import { scratch } from '../test/scratch';
import { plan } from '../test/two-host-plan';

const its = scratch();
const { write, run } = gateRuns(its);

describe('the difference to a baseline', () => {
  const pooled = (count: number): string =>
    plan(count)
      .replace('name: kvm1\n', 'name: kvm1\n    hugepages: [{node: 1, count: 48}]\n')
      .replace('flavour: bound, count', 'flavour: pooled, count')
      .replace(
        'guests:\n',
        '  pooled: {memoryMib: 64, hugepagesKib: 2048, numatune: {mode: strict, nodeset: "1"}}\nguests:\n',
      );

  it('says of a guest that its pool cannot serve that it is not started, wherever it is told', async () => {
    const path = write('plan.yaml', pooled(1));
    const before = join(its.folder, 'before.json');
    await run([path], { output: 'json', out: before });
    write('plan.yaml', pooled(2));
    const { text } = await run([path], { output: 'markdown', baseline: before });
    expect(text).toContain(
      '| kvm1 | worse | pass -> fail | 1 -> 2 | 0.0 % | nobody -> 1 not started | not asked | verdict |',
    );
    expect(text).toMatch(/\| kvm1 \| fail \| 2 \|.*\| a-2 not started \| not asked \|/);
    const shown = (await run([path], {})).text;
    expect(shown).toMatch(/a-2 .*NOT STARTED/);
    expect(shown).not.toContain('KILLED');
  });

  it.each([
    [
      'a margin',
      'policies: {margin: {minPercent: 50, severity: note}}\n',
      2,
      /\| kvm1 \| worse \| pass \| 1 -> 2 \| 0\.0 % \| nobody \| 50 % -> \d+ % \| margin \|/,
    ],
    [
      'a rule',
      'policies: {margin: {minPercent: 50}}\n',
      2,
      /\| kvm1 \| worse \| pass -> fail \| 1 -> 2 \| 0\.0 % \| nobody \| 50 % -> \d+ % \| verdict \|/,
    ],
  ])('has a row for a host that is worse by %s', async (_what, policies, count, row) => {
    const path = write('plan.yaml', plan(1, policies));
    const before = join(its.folder, 'before.json');
    await run([path], { output: 'json', out: before });
    write('plan.yaml', plan(count, policies));
    expect((await run([path], { output: 'markdown', baseline: before })).text).toMatch(row);
  });

  it('has a row for a host whose guests get memory of another node', async () => {
    const path = write('plan.yaml', plan(1));
    const before = join(its.folder, 'before.json');
    await run([path], { output: 'json', out: before });
    write('plan.yaml', plan(1).replace('nodeset: "0"}', 'nodeset: "0"}, cpuset: "2-3"'));
    const { text } = await run([path], { output: 'markdown', baseline: before });
    expect(text).toContain(
      '| kvm1 | worse | pass | 1 | 0.0 % -> 100.0 % | nobody | not asked | remote |',
    );
  });
});
