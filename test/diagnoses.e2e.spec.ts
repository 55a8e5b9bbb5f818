import request from 'supertest';
import { failedAllocationLog } from '../apps/api/src/diagnoses/diagnosis-examples';
import { createTestApp, TestApp } from './support/app';
import { recordedBody } from './support/facts';

describe('POST /v1/diagnoses', () => {
  let testApp: TestApp;
  beforeAll(async () => {
    testApp = await createTestApp();
  });
  afterAll(() => testApp.close());
  const post = (body: object) => request(testApp.server).post('/v1/diagnoses').send(body);

  it("explains the console's example zone by zone", async () => {
    const { body } = await post(failedAllocationLog.value).expect(200);
    const { items } = body as { items: { zones: object[]; advice: object[] }[] };
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({
      kind: 'allocation-failure',
      line: 1,
      kernel: { checkedAs: '2.6.32' },
      request: { order: 1, kind: 'atomic', canWait: false },
      advice: [
        { code: 'raise-min-free', evidence: { missingPages: 9 } },
        { code: 'larger-blocks', evidence: { order: 1 } },
      ],
    });
    expect(items[0]?.zones).toMatchObject([
      { zone: 'DMA', min: { allowed: false } },
      {
        zone: 'DMA32',
        min: { explanation: ['free pages: 95007 not above 75 + 94940 = 95015: refused'] },
      },
      { zone: 'Normal', min: { refusedBy: 'larger-blocks' } },
    ]);
  });

  it('takes the kernel of a stored host where the log names none', async () => {
    const { body: host } = await request(testApp.server)
      .post('/v1/hosts/import')
      .send(recordedBody('host'))
      .expect(201);
    const log = failedAllocationLog.value.log.replace(/^.*Pid: .*\n/m, '');
    const { body } = await post({ log, hostId: (host as { id: string }).id }).expect(200);
    expect(body).toMatchObject({ items: [{ kernel: { checkedAs: '6.1.y' } }] });
  });

  it('refuses a log without a report, and a host that is not there', async () => {
    const { body } = await post({ log: 'all is well\n' }).expect(422);
    expect(body).toMatchObject({ code: 'invalid-facts', errors: [{ code: 'no-report' }] });
    const hostId = '00000000-0000-4000-8000-000000000000';
    await post({ ...failedAllocationLog.value, hostId }).expect(404);
  });
});
