import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { MAX_REPLAY_PAGES, PAGES_PER_MIB } from '@zonewise/simulator';
import { BackgroundCacheDto, DemandDto, GuestDemandDto } from './replay-options.dto';

const MOST = MAX_REPLAY_PAGES / PAGES_PER_MIB;

describe('the largest amounts of a demand', () => {
  it.each<[string, (mib: number) => object]>([
    ['rateMibPerSecond', (mib) => plainToInstance(DemandDto, { rateMibPerSecond: mib })],
    ['diskCacheMib', (mib) => plainToInstance(GuestDemandDto, { diskCacheMib: mib })],
    ['mib', (mib) => plainToInstance(BackgroundCacheDto, { node: 0, mib })],
  ])('%s takes what a replay takes, and no more', (field, withMib) => {
    expect(validateSync(withMib(MOST))).toEqual([]);
    expect(validateSync(withMib(MOST + 1)).map(({ property }) => property)).toEqual([field]);
  });
});
